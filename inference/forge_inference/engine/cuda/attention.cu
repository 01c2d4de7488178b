// Attention over the keys and values in the cache, where they lie.

// Where a token's key or value of one head begins.
__device__ inline long long place_of(const int *blocks, int position, int head) {
    long long page = (long long)blocks[position / PAGE] * STRIDE;
    return ((page * PAGE + position % PAGE) * KV_HEADS + head) * WIDTH;
}

// A part of a head, rotated by its token's position (arXiv:2104.09864, halves as in Llama). All threads that hold parts
// of the head take part; `c` and `s` are the cosines and sines of the same part.
__device__ inline Vector rotated(Vector mine, const Vector &c, const Vector &s, int part) {
    constexpr int HALF = WIDTH / VECTOR / 2;  // threads that hold one half
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        float x = wide(mine.at[i]), other = __shfl_xor_sync(0xffffffffu, x, HALF);
        mine.at[i] = narrow(x * wide(c.at[i]) + (part < HALF ? -other : other) * wide(s.at[i]));
    }
    return mine;
}

// Attention of one query for each head over the keys and values in the cache, where they lie, and the token's own, which
// are put there; queries and keys are rotated first when `rotate`. `pitch` is the way from one row of queries to the
// next, `kv_pitch` of keys and values. A block reads one of `splits` parts of an answer's tokens. With several it writes
// unfinished sums, and the last of them to end puts them together: for each head and part WIDTH sums, and in `scales`
// their largest score (in bits: powers of two) and the sum of weights. `ended` counts blocks; it is zero between kernels.
extern "C" __global__ void __launch_bounds__(THREADS) attend(
    const int *table, const number *query, const number *key, const number *value, const number *cosines,
    const number *sines, number *keys, number *values, number *mixed, float *sums, float2 *scales, int *ended,
    int pitch, int kv_pitch, int splits, int rotate, float scale
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

    next_may_begin();
    after_last();
    int split = blockIdx.x, row = blockIdx.z;
    int head = blockIdx.y * GROUP, kv_head = head / (HEADS / KV_HEADS);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int team = warp * (32 / LANES) + lane / LANES, part = lane % LANES;
    const int *told = table + (long long)row * ROW;
    int length = max(told[POSITION], 0), each = (length + splits - 1) / splits;  // tokens before this one
    int begin = split * each, end = min(length, begin + each);

    Vector c, s;
    if (rotate) {
        c = read(cosines + (long long)row * WIDTH + part * VECTOR);
        s = read(sines + (long long)row * WIDTH + part * VECTOR);
    }
    float q[GROUP][VECTOR], sum[GROUP][VECTOR], top[GROUP], weight[GROUP];
#pragma unroll
    for (int h = 0; h < GROUP; h++) {
        Vector asked = read(query + (long long)row * pitch + (head + h) * WIDTH + part * VECTOR);
        if (rotate) asked = rotated(asked, c, s, part);
        top[h] = NOTHING;
        weight[h] = 0;
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            q[h][i] = wide(asked.at[i]) * scale * LOG2_E;
            sum[h][i] = 0;
        }
    }
    // Keys and values of the tokens `base + u * TEAMS + team`, as far as they are before `stop`.
    auto mix = [&](const Vector (&k)[AHEAD], const Vector (&v)[AHEAD], int base, int stop) {
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
                score[u] = base + u * TEAMS + team < stop ? s : NOTHING;
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
    };
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
        mix(k, v, base, end);
    }
    if (split == splits - 1 && told[POSITION] >= 0) {  // the token's own
        long long from = (long long)row * kv_pitch + kv_head * WIDTH + part * VECTOR;
        Vector k[AHEAD], v[AHEAD];
        k[0] = read(key + from);
        v[0] = read(value + from);
        if (rotate) k[0] = rotated(k[0], c, s, part);
        if (team == 0 && head % (HEADS / KV_HEADS) == 0) {
            long long to = place_of(told + BLOCKS, length, kv_head) + part * VECTOR;
            *(uint4 *)(keys + to) = k[0].all;
            *(uint4 *)(values + to) = v[0].all;
        }
#pragma unroll
        for (int u = 1; u < AHEAD; u++) k[u] = k[0], v[u] = v[0];
        mix(k, v, 0, 1);
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
            sums[(which * splits + split) * WIDTH + i] = total;
            if (i == 0) scales[which * splits + split] = {high, all};
        }
    }
    if (splits == 1) return;
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    int *count = ended + row * gridDim.y + blockIdx.y;
    if (threadIdx.x == 0) last = atomicAdd(count, 1) == splits - 1;
    __syncthreads();
    if (!last) return;
    if (threadIdx.x == 0) *count = 0;
    __threadfence();
    for (int at = threadIdx.x * 4; at < GROUP * WIDTH; at += THREADS * 4) {
        long long which = (long long)row * HEADS + head + at / WIDTH;
        const float2 *scaled = scales + which * splits;
        const float4 *from = (const float4 *)(sums + which * splits * WIDTH + at % WIDTH);
        float high = NOTHING, all = 0;
        float4 total = {0, 0, 0, 0};
#pragma unroll 8
        for (int p = 0; p < splits; p++) high = fmaxf(high, scaled[p].x);
#pragma unroll 8
        for (int p = 0; p < splits; p++) {
            float less = exp2f(scaled[p].x - high);
            float4 part = from[p * (WIDTH / 4)];
            all += scaled[p].y * less;
            total.x += part.x * less;
            total.y += part.y * less;
            total.z += part.z * less;
            total.w += part.w * less;
        }
        float by = all > 0 ? 1 / all : 0;
        number *to = mixed + which * WIDTH + at % WIDTH;
        to[0] = narrow(total.x * by);
        to[1] = narrow(total.y * by);
        to[2] = narrow(total.z * by);
        to[3] = narrow(total.w * by);
    }
}
