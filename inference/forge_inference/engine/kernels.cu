// Kernels of a step in which each answer has one token. Compiled for one model when it is loaded (kernels.py), with
//   NUMBER    of weights and activations: 0 float32, 1 bfloat16, 2 float16
//   WIDTH     of a head; HEADS of queries; KV_HEADS of keys and values
//   GROUP     heads of queries that one block computes, all of the same head of keys
//   PAGE      tokens of a page of the cache; STRIDE pages from one of the cache's blocks to the next
//   ROW       numbers in a row of the table: token, position (-1: the row only fills up), adapter's slot, blocks
// No header is included: where this is compiled there is none.

#if NUMBER == 0
typedef float number;
__device__ inline float wide(number x) { return x; }
__device__ inline number narrow(float x) { return x; }
#elif NUMBER == 1
typedef unsigned short number;
__device__ inline float wide(number x) { return __uint_as_float((unsigned)x << 16); }
__device__ inline number narrow(float x) {  // to the nearest, ties to even
    unsigned bits = __float_as_uint(x);
    return x != x ? 0x7fff : (number)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#else
typedef unsigned short number;
__device__ inline float wide(number x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x));
    return y;
}
__device__ inline number narrow(float x) {
    number y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return y;
}
#endif

constexpr int VECTOR = 16 / sizeof(number);  // numbers that a thread reads at once
constexpr int THREADS = 128, WARPS = THREADS / 32;
constexpr int POSITION = 1, SLOT = 2, BLOCKS = 3;
constexpr float NOTHING = -1e30f;  // less than any score

union Vector {
    uint4 all;
    number at[VECTOR];
};

__device__ inline Vector read(const number *from) {
    Vector found;
    found.all = *(const uint4 *)from;
    return found;
}

// Copies sixteen bytes into shared memory while the thread goes on, where the GPU can.
__device__ inline void fetch(uint4 *to, const number *from) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(to)), "l"(from));
#else
    *to = *(const uint4 *)from;
#endif
}
// Ends a group of them.
__device__ inline void fetched() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;");
#endif
}
// Waits until no more than the last LATE groups are on their way.
template <int LATE> __device__ inline void arrived() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(LATE) : "memory");
#endif
}

// Where a token's key or value of one head begins.
__device__ inline long long place_of(const int *blocks, int position, int head) {
    long long page = (long long)blocks[position / PAGE] * STRIDE;
    return ((page * PAGE + position % PAGE) * KV_HEADS + head) * WIDTH;
}

// Rotates queries and keys by their position when `rotate` (arXiv:2104.09864, halves as in Llama), and puts keys and
// values into the cache. One block for each head of a row, a thread for two numbers. `pitch` is the way from one row
// of queries to the next, `kv_pitch` of keys and values.
extern "C" __global__ void place(
    const int *table, number *query, const number *key, const number *value, const number *cosines,
    const number *sines, number *keys, number *values, int pitch, int kv_pitch, int rotate
) {
    constexpr int HALF = WIDTH / 2;
    int row = blockIdx.y, head = blockIdx.x, i = threadIdx.x;
    const int *told = table + (long long)row * ROW;
    int position = told[POSITION];
    if (position < 0) return;
    bool asks = head < HEADS;
    head = asks ? head : head - HEADS;
    bool is_value = !asks && head >= KV_HEADS;
    head = is_value ? head - KV_HEADS : head;
    long long begin = (long long)row * (asks ? pitch : kv_pitch) + head * WIDTH;
    const number *from = (asks ? query : is_value ? value : key) + begin;
    number *to = asks ? query + begin
                      : (is_value ? values : keys) + place_of(told + BLOCKS, position, head);
    number first = from[i], second = from[i + HALF];
    if (rotate && !is_value) {
        const number *c = cosines + (long long)row * WIDTH, *s = sines + (long long)row * WIDTH;
        float a = wide(first), b = wide(second);
        first = narrow(a * wide(c[i]) - b * wide(s[i]));
        second = narrow(b * wide(c[i + HALF]) + a * wide(s[i + HALF]));
    }
    to[i] = first;
    to[i + HALF] = second;
}

// Attention of one query for each head over the keys and values in the cache, where they lie. A block reads one of
// `splits` parts of an answer's tokens. With several it writes unfinished sums, which `join` puts together: for each
// head and part WIDTH sums, their largest score (in bits: powers of two) and the sum of weights.
extern "C" __global__ void __launch_bounds__(THREADS) attend(
    const int *table, const number *query, const number *keys, const number *values, number *mixed, float *parts,
    int pitch, int splits, float scale
) {
    constexpr int LANES = WIDTH / VECTOR;         // threads that hold one key
    constexpr int TEAMS = WARPS * (32 / LANES);   // keys that a block reads at once
    constexpr int AHEAD = 2;                      // and how many of them a thread takes at a time
    constexpr int STAGES = 4;                     // how many times as many are on their way
    constexpr unsigned ALL = 0xffffffffu;
    constexpr float LOG2_E = 1.44269504f;
    __shared__ union {
        uint4 coming[STAGES][AHEAD][2][THREADS];  // each thread reads only what it asked for itself
        float sums[WARPS][GROUP][WIDTH];          // when nothing comes any more
    } mine;
    __shared__ float largest[WARPS][GROUP], weights[WARPS][GROUP];

    int split = blockIdx.x, row = blockIdx.z;
    int head = blockIdx.y * GROUP, kv_head = head / (HEADS / KV_HEADS);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int team = warp * (32 / LANES) + lane / LANES, part = lane % LANES;
    const int *told = table + (long long)row * ROW;
    int length = told[POSITION] + 1, each = (length + splits - 1) / splits;
    int begin = split * each, end = min(length, begin + each);

    float q[GROUP][VECTOR], sum[GROUP][VECTOR], top[GROUP], weight[GROUP];
#pragma unroll
    for (int h = 0; h < GROUP; h++) {
        Vector asked = read(query + (long long)row * pitch + (head + h) * WIDTH + part * VECTOR);
        top[h] = NOTHING;
        weight[h] = 0;
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            q[h][i] = wide(asked.at[i]) * scale * LOG2_E;
            sum[h][i] = 0;
        }
    }
    int groups = end > begin ? (end - begin + TEAMS * AHEAD - 1) / (TEAMS * AHEAD) : 0;
    for (int ask = 0, g = 1 - STAGES; g < groups; ask++, g++) {
        if (ask < groups) {
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                int at = begin + (ask * AHEAD + u) * TEAMS + team;
                long long from = place_of(told + BLOCKS, at < end ? at : begin, kv_head) + part * VECTOR;
                fetch(&mine.coming[ask % STAGES][u][0][threadIdx.x], keys + from);
                fetch(&mine.coming[ask % STAGES][u][1][threadIdx.x], values + from);
            }
        }
        fetched();
        if (g < 0) continue;
        arrived<STAGES - 1>();
        int base = begin + g * AHEAD * TEAMS;
        Vector k[AHEAD], v[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            k[u].all = mine.coming[g % STAGES][u][0][threadIdx.x];
            v[u].all = mine.coming[g % STAGES][u][1][threadIdx.x];
        }
#pragma unroll
        for (int h = 0; h < GROUP; h++) {
            float score[AHEAD], high = top[h];
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                float s = 0;
#pragma unroll
                for (int i = 0; i < VECTOR; i++) s += q[h][i] * wide(k[u].at[i]);
#pragma unroll
                for (int far = LANES / 2; far; far /= 2) s += __shfl_xor_sync(ALL, s, far);
                score[u] = base + u * TEAMS + team < end ? s : NOTHING;
                high = fmaxf(high, score[u]);
            }
            float less = exp2f(top[h] - high);
            top[h] = high;
            weight[h] *= less;
#pragma unroll
            for (int i = 0; i < VECTOR; i++) sum[h][i] *= less;
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                float w = score[u] == NOTHING ? 0.0f : exp2f(score[u] - high);
                weight[h] += w;
#pragma unroll
                for (int i = 0; i < VECTOR; i++) sum[h][i] += w * wide(v[u].at[i]);
            }
        }
    }
    __syncthreads();
#pragma unroll
    for (int h = 0; h < GROUP; h++) {  // the teams of a warp, then the warps of the block
#pragma unroll
        for (int far = LANES; far < 32; far *= 2) {
            float high = fmaxf(top[h], __shfl_xor_sync(ALL, top[h], far));
            float less = exp2f(top[h] - high);
            top[h] = high;
            weight[h] *= less;
            weight[h] += __shfl_xor_sync(ALL, weight[h], far);
#pragma unroll
            for (int i = 0; i < VECTOR; i++) {
                sum[h][i] *= less;
                sum[h][i] += __shfl_xor_sync(ALL, sum[h][i], far);
            }
        }
        if (lane < LANES) {
#pragma unroll
            for (int i = 0; i < VECTOR; i++) mine.sums[warp][h][part * VECTOR + i] = sum[h][i];
            largest[warp][h] = top[h];
            weights[warp][h] = weight[h];
        }
    }
    __syncthreads();
    for (int at = threadIdx.x; at < GROUP * WIDTH; at += THREADS) {
        int h = at / WIDTH, i = at % WIDTH;
        float high = NOTHING, total = 0, all = 0;
        for (int w = 0; w < WARPS; w++) high = fmaxf(high, largest[w][h]);
        for (int w = 0; w < WARPS; w++) {
            float less = exp2f(largest[w][h] - high);
            total += mine.sums[w][h][i] * less;
            all += weights[w][h] * less;
        }
        long long which = (long long)row * HEADS + head + h;
        if (splits == 1) {
            mixed[which * WIDTH + i] = narrow(all > 0 ? total / all : 0.0f);
        } else {
            float *to = parts + (which * splits + split) * (WIDTH + 2);
            to[i] = total;
            if (i == 0) {
                to[WIDTH] = high;
                to[WIDTH + 1] = all;
            }
        }
    }
}

// One block for each head of a row, a thread for each number. There are at most 32 parts.
extern "C" __global__ void join(const float *parts, number *mixed, int splits) {
    constexpr unsigned ALL = 0xffffffffu;
    const float *from = parts + (long long)blockIdx.x * splits * (WIDTH + 2);
    int lane = threadIdx.x % 32;
    float mine = lane < splits ? from[lane * (WIDTH + 2) + WIDTH] : NOTHING;
    float all = lane < splits ? from[lane * (WIDTH + 2) + WIDTH + 1] : 0, high = mine, total = 0;
    for (int far = 16; far; far /= 2) high = fmaxf(high, __shfl_xor_sync(ALL, high, far));
    float less = exp2f(mine - high);
    all *= less;
    for (int far = 16; far; far /= 2) all += __shfl_xor_sync(ALL, all, far);
#pragma unroll 8
    for (int s = 0; s < splits; s++) {
        float weight = __shfl_sync(ALL, less, s);
        if (threadIdx.x < WIDTH) total += from[s * (WIDTH + 2) + threadIdx.x] * weight;
    }
    if (threadIdx.x < WIDTH) mixed[(long long)blockIdx.x * WIDTH + threadIdx.x] = narrow(all > 0 ? total / all : 0.0f);
}

// The sum over all threads of a block, known to all of them.
__device__ inline float over_block(float sum) {
    __shared__ float sums[32];
    for (int far = 16; far; far /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, far);
    __syncthreads();  // whoever still reads the sum of before
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (int w = 0; w < blockDim.x / 32; w++) sum += sums[w];
    return sum;
}

// Each row divided by the root of its mean square, times `weight` (arXiv:1910.07467).
extern "C" __global__ void normalise(
    const number *x, const number *weight, number *y, int width, float epsilon
) {
    long long begin = (long long)blockIdx.x * width;
    float squares = 0;
    for (int i = threadIdx.x * VECTOR; i < width; i += blockDim.x * VECTOR) {
        Vector mine = read(x + begin + i);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) squares += wide(mine.at[j]) * wide(mine.at[j]);
    }
    float factor = rsqrtf(over_block(squares) / width + epsilon);
    for (int i = threadIdx.x * VECTOR; i < width; i += blockDim.x * VECTOR) {
        Vector mine = read(x + begin + i), by = read(weight + i);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) mine.at[j] = narrow(wide(narrow(wide(mine.at[j]) * factor)) * wide(by.at[j]));
        *(uint4 *)(y + begin + i) = mine.all;
    }
}

// silu(first half) * second half of each row; `width` numbers each.
extern "C" __global__ void __launch_bounds__(THREADS) gate(const number *x, number *y, int width) {
    const number *from = x + 2LL * blockIdx.y * width;
    int i = (blockIdx.x * THREADS + threadIdx.x) * VECTOR;
    if (i >= width) return;
    Vector a = read(from + i), b = read(from + width + i);
#pragma unroll
    for (int j = 0; j < VECTOR; j++) {
        float open = wide(a.at[j]);
        a.at[j] = narrow(wide(narrow(open / (1 + exp2f(-1.44269504f * open)))) * wide(b.at[j]));
    }
    *(uint4 *)(y + (long long)blockIdx.y * width + i) = a.all;
}

// low = (x A^T) * scale[adapter of the row], in float32. One block for each row and some of A's; those whose scale is
// zero belong to other adapters and are not read.
extern "C" __global__ void lower(
    const int *table, const number *x, const number *a, const number *scale, float *low, int width, int rank
) {
    int row = blockIdx.y, slot = table[(long long)row * ROW + SLOT];
    for (int r = blockIdx.x; r < rank; r += gridDim.x) {
        float factor = wide(scale[(long long)slot * rank + r]), sum = 0;
        if (factor != 0) {
            const number *left = x + (long long)row * width, *right = a + (long long)r * width;
#pragma unroll 4
            for (int i = threadIdx.x * VECTOR; i < width; i += blockDim.x * VECTOR) {
                Vector p = read(left + i), q = read(right + i);
#pragma unroll
                for (int j = 0; j < VECTOR; j++) sum += wide(p.at[j]) * wide(q.at[j]);
            }
            sum = over_block(sum);
        }
        if (threadIdx.x == 0) low[(long long)row * rank + r] = sum * factor;
    }
}

// y += low B^T. One block for some columns of a row, a thread for each; its shared memory holds the row of `low`.
extern "C" __global__ void __launch_bounds__(THREADS) lift(
    const float *low, const number *b, number *y, int pitch, int width, int rank
) {
    extern __shared__ float mine[];
    int row = blockIdx.y, column = blockIdx.x * THREADS + threadIdx.x;
    for (int r = threadIdx.x; r < rank; r += THREADS) mine[r] = low[(long long)row * rank + r];
    __syncthreads();
    if (column >= width) return;
    const number *from = b + (long long)column * rank;
    float sum = 0;
    if (rank % VECTOR) {
        for (int r = 0; r < rank; r++) sum += mine[r] * wide(from[r]);
    } else {
        for (int r = 0; r < rank; r += VECTOR) {
            Vector part = read(from + r);
#pragma unroll
            for (int i = 0; i < VECTOR; i++) sum += mine[r + i] * wide(part.at[i]);
        }
    }
    number *to = y + (long long)row * pitch + column;
    *to = narrow(wide(*to) + sum);
}
