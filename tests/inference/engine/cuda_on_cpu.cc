// What kernels.cu needs of CUDA, on a CPU: one block after another, whose threads take turns. KERNELS is its path.
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __shared__ static
using std::max;
using std::min;

struct uint4 {
    unsigned x, y, z, w;
};
struct float2 {
    float x, y;
};
struct float4 {
    float x, y, z, w;
};
struct Index {
    int x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;
static float exchanged[1024];
alignas(16) static float dynamic_shared[64 * 1024];

static ucontext_t scheduler;
struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool ended = false;
};
static std::vector<Fiber> fibers;
static std::function<void()> body;
static int waiting, alive, meetings;

// Every thread goes on from one turn to the next before any begins its second.
static void next_turn() { swapcontext(&fibers[threadIdx.x].context, &scheduler); }
static void one_thread() {
    body();
    fibers[threadIdx.x].ended = true;
    alive--;
}
static void one_block(int threads) {
    fibers = std::vector<Fiber>(threads);
    alive = threads;
    waiting = 0;
    for (auto &fiber : fibers) {
        fiber.stack.resize(64 * 1024);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, one_thread, 0);
    }
    while (alive)
        for (int t = 0; t < threads; t++)
            if (!fibers[t].ended) {
                threadIdx = {t, 0, 0};
                swapcontext(&scheduler, &fibers[t].context);
            }
}

static float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
static float rsqrtf(float x) { return 1 / sqrtf(x); }
static unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, 4);
    return bits;
}
static void __threadfence() {}
static int atomicAdd(int *to, int more) { return (*to += more) - more; }
static void __syncthreads() {
    int before = meetings;
    if (++waiting == alive) {
        waiting = 0;
        meetings++;
    }
    while (before == meetings) next_turn();
}
static float __shfl_sync(unsigned, float mine, int lane) {  // threads of a warp shuffle in the same turns
    int me = threadIdx.x;
    exchanged[me] = mine;
    next_turn();
    float theirs = exchanged[me / 32 * 32 + lane];
    next_turn();
    return theirs;
}
static void __syncwarp() { __shfl_sync(0, 0, 0); }
static float __shfl_xor_sync(unsigned all, float mine, int far) {
    return __shfl_sync(all, mine, threadIdx.x % 32 ^ far);
}

static void tensor_cores(float (&)[4], unsigned, unsigned, unsigned, unsigned, unsigned, unsigned);

#include KERNELS

#if NUMBER != 0
// As PTX lays them out: what a thread holds is of rows lane / 4 and eight below, in columns 2 * (lane % 4) and after it.
static void tensor_cores(
    float (&sum)[4], unsigned a, unsigned b, unsigned c, unsigned d, unsigned x, unsigned y
) {
    static unsigned held[1024][6];
    int me = threadIdx.x, lane = me % 32;
    unsigned mine[6] = {a, b, c, d, x, y};
    memcpy(held[me], mine, sizeof mine);
    next_turn();
    auto at = [](unsigned pair, int i) { return wide((number)(pair >> 16 * i)); };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++) {
            unsigned *row = held[me - lane + lane / 4 * 4 + k % 8 / 2];
            unsigned *column = held[me - lane + (lane % 4 * 2 + i % 2) * 4 + k % 8 / 2];
            sum[i] += at(row[i / 2 + k / 8 * 2], k % 2) * at(column[4 + k / 8], k % 2);
        }
    next_turn();
}
#endif

template <class... A, size_t... I>
static void start(void (*kernel)(A...), Index grid, int threads, void **values, std::index_sequence<I...>) {
    gridDim = grid;
    blockDim = {threads, 1, 1};
    for (int z = 0; z < grid.z; z++)
        for (int y = 0; y < grid.y; y++)
            for (int x = 0; x < grid.x; x++) {
                blockIdx = {x, y, z};
                body = [=] { kernel(*(A *)values[I]...); };
                one_block(threads);
            }
}

template <class... A> static void start(void (*kernel)(A...), Index grid, int threads, void **values) {
    start(kernel, grid, threads, values, std::index_sequence_for<A...>{});
}

extern "C" void run(const char *name, int x, int y, int z, int threads, void **values) {
    std::string wanted = name;
    if (wanted == "attend") start(attend, {x, y, z}, threads, values);
    if (wanted == "normalise") start(normalise, {x, y, z}, threads, values);
    if (wanted == "gate") start(gate, {x, y, z}, threads, values);
#if NUMBER != 0
    if (wanted == "multiply") start(multiply, {x, y, z}, threads, values);
#endif
    if (wanted == "lower") start(lower, {x, y, z}, threads, values);
    if (wanted == "lift") start(lift, {x, y, z}, threads, values);
}
