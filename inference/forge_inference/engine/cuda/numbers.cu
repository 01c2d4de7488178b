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
constexpr int MULTIPLYING = 512;  // threads of a block that multiplies
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

#if NUMBER != 0 && defined(__CUDA_ARCH__)
// Adds 16 rows times 8 columns of 16 numbers each to what a warp has, in the order of mma.m16n8k16 (PTX ISA).
__device__ inline void tensor_cores(
    float (&sum)[4], unsigned a, unsigned b, unsigned c, unsigned d, unsigned x, unsigned y
) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
#if NUMBER == 1
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#else
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#endif
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]) : "r"(a), "r"(b), "r"(c), "r"(d), "r"(x), "r"(y)
    );
#endif
}
#endif

// Kernels begin while the last one still computes, where the GPU lets them (`early` in nvrtc.py). Whatever others
// wrote may be read, and whatever others read be written, only after `after_last`; every thread of every kernel calls it.
__device__ inline void after_last() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ inline void next_may_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
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
