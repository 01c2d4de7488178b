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
#define __launch_bounds__(threads)
#define __shared__ static
using std::min;

struct uint4 {
    unsigned x, y, z, w;
};
struct Index {
    int x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;
static float exchanged[1024], dynamic_shared[12 * 1024];

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
static float __shfl_xor_sync(unsigned all, float mine, int far) {
    return __shfl_sync(all, mine, threadIdx.x % 32 ^ far);
}

#include KERNELS

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
    if (wanted == "place") start(place, {x, y, z}, threads, values);
    if (wanted == "attend") start(attend, {x, y, z}, threads, values);
    if (wanted == "join") start(join, {x, y, z}, threads, values);
    if (wanted == "normalise") start(normalise, {x, y, z}, threads, values);
    if (wanted == "gate") start(gate, {x, y, z}, threads, values);
    if (wanted == "lower") start(lower, {x, y, z}, threads, values);
    if (wanted == "lift") start(lift, {x, y, z}, threads, values);
}
