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

// x * factor * weight, rounded as torch's own layers round it.
__device__ inline number normed(number x, float factor, number weight) {
    return narrow(wide(narrow(wide(x) * factor)) * wide(weight));
}

// Each row divided by the root of its mean square, times `weight` (arXiv:1910.07467).
extern "C" __global__ void normalise(
    const number *x, const number *weight, number *y, int width, float epsilon
) {
    long long begin = (long long)blockIdx.x * width;
    float squares = 0;
    next_may_begin();
    after_last();
    for (int i = threadIdx.x * VECTOR; i < width; i += blockDim.x * VECTOR) {
        Vector mine = read(x + begin + i);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) squares += wide(mine.at[j]) * wide(mine.at[j]);
    }
    float factor = rsqrtf(over_block(squares) / width + epsilon);
    for (int i = threadIdx.x * VECTOR; i < width; i += blockDim.x * VECTOR) {
        Vector mine = read(x + begin + i), by = read(weight + i);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) mine.at[j] = normed(mine.at[j], factor, by.at[j]);
        *(uint4 *)(y + begin + i) = mine.all;
    }
}

// silu(open) * x
__device__ inline number gated(number open, number x) {
    float a = wide(open);
    return narrow(wide(narrow(a / (1 + exp2f(-1.44269504f * a)))) * wide(x));
}

// Of the first half of each row and the second; `width` numbers each.
extern "C" __global__ void __launch_bounds__(THREADS) gate(const number *x, number *y, int width) {
    next_may_begin();
    after_last();
    const number *from = x + 2LL * blockIdx.y * width;
    int i = (blockIdx.x * THREADS + threadIdx.x) * VECTOR;
    if (i >= width) return;
    Vector a = read(from + i), b = read(from + width + i);
#pragma unroll
    for (int j = 0; j < VECTOR; j++) a.at[j] = gated(a.at[j], b.at[j]);
    *(uint4 *)(y + (long long)blockIdx.y * width + i) = a.all;
}
