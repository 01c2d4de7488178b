/* NVML's boundary without a GPU: one device, whose figures are in a file.

   Exactly what pynvml calls for forge_inference/telemetry/gpu.py. There is no nvmlInit on purpose: torch counts devices by
   it where it can, and without it asks the CUDA driver, as on every machine without one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESS 0
#define INVALID_ARGUMENT 2
#define MEMORY (80ULL << 30)

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;

static char device;

/* "PERCENT MIB": utilisation, and memory in use. No file: an idle GPU. */
static void now(unsigned int *percent, unsigned long long *mebibytes) {
    const char *path = getenv("FORGE_TEST_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    *percent = 0;
    *mebibytes = 0;
    if (file) {
        if (fscanf(file, "%u %llu", percent, mebibytes) < 1) *percent = 0;
        fclose(file);
    }
}

int nvmlInitWithFlags(unsigned int flags) { return (void)flags, SUCCESS; }

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int result) { return result == SUCCESS ? "Success" : "Invalid Argument"; }

int nvmlDeviceGetCount_v2(unsigned int *count) { return *count = 1, SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    return *handle = &device, index == 0 ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned int length) {
    return (void)handle, snprintf(name, length, "A GPU in a file"), SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    unsigned int percent;
    unsigned long long mebibytes;
    (void)handle;
    now(&percent, &mebibytes);
    memory->total = MEMORY;
    memory->used = mebibytes << 20;
    memory->free = MEMORY - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, utilization_t *utilization) {
    unsigned long long mebibytes;
    (void)handle;
    now(&utilization->gpu, &mebibytes);
    utilization->memory = 0;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned int *celsius) {
    return (void)handle, (void)sensor, *celsius = 40, SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned int *milliwatts) { return (void)handle, *milliwatts = 70000, SUCCESS; }
