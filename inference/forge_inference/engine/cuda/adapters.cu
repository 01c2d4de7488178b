// low = (x A^T) * scale[adapter of the row], in float32. One block for each row and some of A's; those whose scale is
// zero belong to other adapters and are not read.
extern "C" __global__ void lower(
    const int *table, const number *x, const number *a, const number *scale, float *low, int width, int rank
) {
    next_may_begin();
    after_last();
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

// y += (low * scale[adapter of the row]) B^T; without `scale` low is multiplied by it already. One block for some columns
// of a row, a thread for each; its shared memory holds the row of `low`, which has `low_pitch` numbers.
extern "C" __global__ void __launch_bounds__(THREADS) lift(
    const int *table, const float *low, const number *scale, const number *b, number *y, int low_pitch, int pitch,
    int width, int rank
) {
    extern __shared__ float mine[];
    next_may_begin();
    after_last();
    int row = blockIdx.y, column = blockIdx.x * THREADS + threadIdx.x;
    long long slot = table[(long long)row * ROW + SLOT];
    for (int r = threadIdx.x; r < rank; r += THREADS)
        mine[r] = low[(long long)row * low_pitch + r] * (scale ? wide(scale[slot * rank + r]) : 1);
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
