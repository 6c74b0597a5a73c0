/* A libnvidia-ml.so.1 whose cards stand in a text file, so that a test can change them while the
 * process under test runs. FAKE_NVML_STATE names the file; without it there is no driver.
 * Lines are "key value"; keys of a card begin with its number: "0.used 8589934592".
 * A value of "-" means that the card does not support the question; "0.error 15" that it answers
 * every question with this error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define MAX_CARDS 8
enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, NO_LIBRARY = 12 };

typedef int result;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef char *card;
typedef struct { u64 total, free, used; } memory;
typedef struct { u32 version; u64 total, reserved, free, used; } memory_v2;
typedef struct { u32 gpu, memory; } utilization;
typedef struct { u32 version, sensor; int temperature; } temperature_v1;
typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } process;

static char handles[MAX_CARDS];

/* Copies the value of a key; 0 where the file or the key is missing. */
static int lookup(const char *key, char *value, size_t size) {
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024];
    size_t length = strlen(key);
    int found = 0;
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) || line[length] != ' ') continue;
        line[strcspn(line, "\r\n")] = 0;
        snprintf(value, size, "%s", line + length + 1);
        found = 1;
    }
    fclose(file);
    return found;
}

static result state_error(void) {
    char value[64];
    if (!lookup("count", value, sizeof value)) return NO_LIBRARY;
    return lookup("error", value, sizeof value) ? atoi(value) : SUCCESS;
}

static result text_of(card device, const char *name, char *value, size_t size) {
    char key[64];
    result error = state_error();
    if (error) return error;
    snprintf(key, sizeof key, "%ld.error", (long)(device - handles));
    if (lookup(key, value, size)) return atoi(value);
    snprintf(key, sizeof key, "%ld.%s", (long)(device - handles), name);
    if (!lookup(key, value, size) || !strcmp(value, "-")) return NOT_SUPPORTED;
    return SUCCESS;
}

static result number_of(card device, const char *name, u64 *number) {
    char value[64];
    result error = text_of(device, name, value, sizeof value);
    if (!error) *number = strtoull(value, NULL, 10);
    return error;
}

static result small_number_of(card device, const char *name, u32 *number) {
    u64 wide;
    result error = number_of(device, name, &wide);
    if (!error) *number = (u32)wide;
    return error;
}

API result nvmlInitWithFlags(u32 flags) { (void)flags; return state_error() == NO_LIBRARY ? NO_LIBRARY : SUCCESS; }
API result nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API result nvmlShutdown(void) { return SUCCESS; }

API const char *nvmlErrorString(result error) {
    switch (error) {
    case SUCCESS: return "Success";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_LIBRARY: return "NVML Shared Library Not Found";
    case 15: return "GPU is lost";
    default: return "Unknown Error";
    }
}

API result nvmlSystemGetDriverVersion(char *version, u32 size) {
    return lookup("driver", version, size) ? SUCCESS : NOT_SUPPORTED;
}

API result nvmlSystemGetNVMLVersion(char *version, u32 size) {
    return nvmlSystemGetDriverVersion(version, size);
}

API result nvmlSystemGetCudaDriverVersion_v2(int *version) {
    char value[64];
    if (!lookup("cuda", value, sizeof value)) return NOT_SUPPORTED;
    *version = atoi(value);
    return SUCCESS;
}

API result nvmlDeviceGetCount_v2(u32 *count) {
    char value[64];
    result error = state_error();
    if (!error && lookup("count", value, sizeof value)) *count = (u32)atoi(value);
    return error;
}

API result nvmlDeviceGetHandleByIndex_v2(u32 index, card *device) {
    u32 count;
    result error = nvmlDeviceGetCount_v2(&count);
    if (error) return error;
    if (index >= count || index >= MAX_CARDS) return INVALID_ARGUMENT;
    *device = &handles[index];
    return SUCCESS;
}

API result nvmlDeviceGetIndex(card device, u32 *index) { *index = (u32)(device - handles); return SUCCESS; }
API result nvmlDeviceGetName(card device, char *name, u32 size) { return text_of(device, "name", name, size); }
API result nvmlDeviceGetUUID(card device, char *uuid, u32 size) { return text_of(device, "uuid", uuid, size); }
API result nvmlDeviceGetPowerUsage(card device, u32 *milliwatts) { return small_number_of(device, "power", milliwatts); }
API result nvmlDeviceGetFanSpeed(card device, u32 *percent) { return small_number_of(device, "fan", percent); }

API result nvmlDeviceGetEnforcedPowerLimit(card device, u32 *milliwatts) {
    return small_number_of(device, "power_limit", milliwatts);
}

API result nvmlDeviceGetPowerManagementLimit(card device, u32 *milliwatts) {
    return nvmlDeviceGetEnforcedPowerLimit(device, milliwatts);
}

API result nvmlDeviceGetMemoryInfo(card device, memory *info) {
    result error = number_of(device, "total", &info->total);
    if (!error) error = number_of(device, "used", &info->used);
    info->free = info->total - info->used;
    return error;
}

API result nvmlDeviceGetMemoryInfo_v2(card device, memory_v2 *info) {
    memory plain = {0, 0, 0};
    result error = nvmlDeviceGetMemoryInfo(device, &plain);
    info->total = plain.total;
    info->used = plain.used;
    info->reserved = 0;
    info->free = plain.free;
    return error;
}

API result nvmlDeviceGetUtilizationRates(card device, utilization *rates) {
    rates->memory = 0;
    return small_number_of(device, "utilization", &rates->gpu);
}

API result nvmlDeviceGetTemperature(card device, u32 sensor, u32 *celsius) {
    (void)sensor;
    return small_number_of(device, "temperature", celsius);
}

API result nvmlDeviceGetTemperatureV(card device, temperature_v1 *reading) {
    return small_number_of(device, "temperature", (u32 *)&reading->temperature);
}

API result nvmlDeviceGetCudaComputeCapability(card device, int *major, int *minor) {
    char value[64];
    result error = text_of(device, "capability", value, sizeof value);
    if (!error && sscanf(value, "%d.%d", major, minor) != 2) return NOT_SUPPORTED;
    return error;
}

/* "pid:bytes,pid:-"; "-" is what Windows answers, where a process's memory is not known. */
static result processes_of(card device, const char *kind, u32 *count, process *list) {
    char value[1024], *entry, *rest;
    u32 room = list ? *count : 0, found = 0;
    result error = text_of(device, kind, value, sizeof value);
    *count = 0;
    if (error) return error == NOT_SUPPORTED ? SUCCESS : error;
    for (entry = strtok_r(value, ",", &rest); entry; entry = strtok_r(NULL, ",", &rest), found++) {
        char *bytes = strchr(entry, ':');
        if (!bytes || found >= room) continue;
        list[found].pid = (u32)strtoul(entry, NULL, 10);
        list[found].used = bytes[1] == '-' ? ~0ULL : strtoull(bytes + 1, NULL, 10);
        list[found].gpu_instance = list[found].compute_instance = ~0u;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

API result nvmlDeviceGetComputeRunningProcesses_v3(card device, u32 *count, process *list) {
    return processes_of(device, "processes", count, list);
}

API result nvmlDeviceGetGraphicsRunningProcesses_v3(card device, u32 *count, process *list) {
    return processes_of(device, "graphics", count, list);
}
