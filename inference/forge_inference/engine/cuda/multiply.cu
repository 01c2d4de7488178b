// Y = X W^T + residual for `tokens` rows X, at most 8, of `in` numbers each. They are first normalised by `norm` if that
// is given, or gated if `gates` (X is twice as wide then). W goes on with the `below` rows `more`, whose products stay in
// float32, in `low`. `residual` and `more` may be absent.
//
// How long this takes is how long it takes to read W. A block takes sixteen rows of W at a time, whose length its warps
// share. Weights are asked for long before they are needed, the first ones before the last kernel has ended. The shared
// memory holds them, and then X.
#if NUMBER != 0
extern "C" __global__ void __launch_bounds__(MULTIPLYING, 1) multiply(
    const number *x, const number *weights, const number *more, const number *norm, const number *residual, number *y,
    float *low, int tokens, int in, int out, int below, int gates, float epsilon
) {
    constexpr int TEAM = MULTIPLYING / 32;  // warps of a block
    constexpr int ROWS = 16, MOST = 8;      // of W and X that a multiplication of the tensor cores takes
    constexpr int LINE = 8;                 // times sixteen bytes of each row are what a warp reads at once
    constexpr int PIECE = LINE * 8;         // numbers
    constexpr int DEEP = 4;                 // such pieces are on their way to each warp
    extern __shared__ float mine[];
    __shared__ float found[2][TEAM][ROWS][MOST], squares[MOST][TEAM];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, part = lane % 4;
    uint4 *coming = (uint4 *)mine + warp * DEEP * ROWS * LINE;
    number *known = (number *)((uint4 *)mine + TEAM * DEEP * ROWS * LINE);
    int pitch = in + PIECE / 2;  // from a row of X to the next, so that threads do not read from the same banks

    // Neighbouring rows are swapped by half a line, for the same reason.
    auto at = [&](int slot, int row, int of_line) {
        return (slot * ROWS + row) * LINE + (of_line ^ row % 2 * (LINE / 2));
    };
    int rows = out + below, asked_tile = blockIdx.x * ROWS, asked = warp * PIECE, slot = 0;
    auto ask = [&](int into) {
#pragma unroll
        for (int j = 0; j < ROWS * LINE / 32; j++) {
            int of_tile = j * (32 / LINE) + lane / LINE, row = asked_tile + of_tile, i = asked + lane % LINE * 8;
            const number *from = row < out ? weights + (long long)row * in : more + (long long)(row - out) * in;
            if (row < rows && i < in) fetch(coming + at(into, of_tile, lane % LINE), from + i);
        }
        fetched();
        if ((asked += TEAM * PIECE) >= in) {
            asked = warp * PIECE;
            asked_tile += gridDim.x * ROWS;
        }
    };
    next_may_begin();
    for (int j = 0; j < DEEP - 1; j++) ask(j);
    after_last();
    for (int token = 0; token < tokens; token++) {
        const number *from = x + (long long)token * in * (gates ? 2 : 1);
        float sum = 0;
#pragma unroll 1
        for (int i = threadIdx.x * VECTOR; i < in; i += MULTIPLYING * VECTOR) {
            Vector some = read(from + i);
            if (gates) {
                Vector by = read(from + in + i);
#pragma unroll
                for (int j = 0; j < VECTOR; j++) some.at[j] = gated(some.at[j], by.at[j]);
            }
#pragma unroll
            for (int j = 0; j < VECTOR; j++) sum += wide(some.at[j]) * wide(some.at[j]);
            *(uint4 *)(known + token * pitch + i) = some.all;
        }
        for (int far = 16; far; far /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, far);
        if (lane == 0) squares[token][warp] = sum;
    }
    __syncthreads();
    for (int token = 0; norm && token < tokens; token++) {
        float sum = 0;
#pragma unroll
        for (int w = 0; w < TEAM; w++) sum += squares[token][w];
        float factor = rsqrtf(sum / in + epsilon);
#pragma unroll 1
        for (int i = threadIdx.x * VECTOR; i < in; i += MULTIPLYING * VECTOR) {
            Vector some = read(known + token * pitch + i), by = read(norm + i);
#pragma unroll
            for (int j = 0; j < VECTOR; j++) some.at[j] = normed(some.at[j], factor, by.at[j]);
            *(uint4 *)(known + token * pitch + i) = some.all;
        }
    }
    if (norm) __syncthreads();
    int turn = 0;
    for (int tile = blockIdx.x * ROWS; tile < rows; tile += gridDim.x * ROWS, turn ^= 1) {
        float sum[4] = {0, 0, 0, 0};  // rows `group` and `group + 8`, two tokens each
        for (int begin = warp * PIECE; begin < in; begin += TEAM * PIECE) {
            __syncwarp();  // whoever still reads what was there
            ask((slot + DEEP - 1) % DEEP);
            arrived<DEEP - 1>();
            __syncwarp();
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int of_line = half * 4 + part, i = begin + of_line * 8;
                uint4 a = coming[at(slot, group, of_line)], b = coming[at(slot, group + 8, of_line)], c = {0, 0, 0, 0};
                if (group < tokens && i < in) c = *(const uint4 *)(known + group * pitch + i);
                // In which order the numbers of a row are multiplied is all one, if it is the same for W and X.
                if (begin + half * (PIECE / 2) >= in) continue;
                tensor_cores(sum, a.x, b.x, a.y, b.y, c.x, c.y);
                tensor_cores(sum, a.z, b.z, a.w, b.w, c.z, c.w);
            }
            slot = (slot + 1) % DEEP;
        }
#pragma unroll
        for (int i = 0; i < 4; i++) found[turn][warp][group + i / 2 * 8][part * 2 + i % 2] = sum[i];
        __syncthreads();
        int row = tile + threadIdx.x / MOST, token = threadIdx.x % MOST;
        if (threadIdx.x < ROWS * MOST && row < rows && token < tokens) {
            float total = 0;
#pragma unroll
            for (int w = 0; w < TEAM; w++) total += found[turn][w][row - tile][token];
            long long to = (long long)token * out + row;
            if (row >= out) low[token * below + row - out] = total;
            else y[to] = residual ? narrow(wide(narrow(total)) + wide(residual[to])) : narrow(total);
        }
    }
}
#endif
