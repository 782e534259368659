/* The part of NVML that labctl, nvidia-ml-py and nvidia-smi ask, answered for the simulated cards.
 *
 * Signatures and layouts are NVML's own (https://docs.nvidia.com/deploy/nvml-api/). Every function that is not here
 * answers NOT_SUPPORTED: the build writes those, see build.py.
 */
#include "card.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MIB (1024ULL * 1024ULL)

static int text(char *buffer, unsigned size, const char *value)
{
    if (strlen(value) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(buffer, value);
    return SUCCESS;
}

API nvmlInit_v2(void) { return load_driver(); }
API nvmlInit(void) { return load_driver(); }
API nvmlInitWithFlags(unsigned flags) { (void)flags; return load_driver(); }
API nvmlShutdown(void) { return SUCCESS; }

__attribute__((visibility("default"))) const char *nvmlErrorString(int answer)
{
    switch (answer) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case TIMEOUT: return "Timeout";
    case GPU_IS_LOST: return "GPU is lost";
    case VERSION_MISMATCH: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

API nvmlSystemGetDriverVersion(char *buffer, unsigned size) { return text(buffer, size, driver.version); }
API nvmlSystemGetNVMLVersion(char *buffer, unsigned size)
{
    char version[80];
    snprintf(version, sizeof version, "%lld.%s", driver.cuda / 1000, driver.version);
    return text(buffer, size, version);
}
API nvmlSystemGetCudaDriverVersion(int *version) { GIVE(version, driver.cuda); }
API nvmlSystemGetCudaDriverVersion_v2(int *version) { GIVE(version, driver.cuda); }
API nvmlSystemGetProcessName(unsigned pid, char *name, unsigned size)
{
    for (int c = 0; c < driver.count; c++)
        for (int p = 0; p < driver.cards[c].process_count; p++)
            if (driver.cards[c].processes[p].pid == pid)
                return text(name, size, driver.cards[c].processes[p].name);
    return NOT_FOUND;
}
API nvmlUnitGetCount(unsigned *count) { GIVE(count, 0); }
API nvmlGetExcludedDeviceCount(unsigned *count) { GIVE(count, 0); }

API nvmlDeviceGetCount_v2(unsigned *count) { GIVE(count, driver.count); }
API nvmlDeviceGetCount(unsigned *count) { GIVE(count, driver.count); }

static int by_number(int number, void **handle)
{
    if (number < 0 || number >= driver.count)
        return INVALID_ARGUMENT;
    if (fails(&driver.cards[number], "lost"))
        return GPU_IS_LOST;
    *handle = &driver.cards[number];
    return SUCCESS;
}

API nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { return by_number((int)index, handle); }
API nvmlDeviceGetHandleByIndex(unsigned index, void **handle) { return by_number((int)index, handle); }
API nvmlDeviceGetHandleByUUID(const char *uuid, void **handle)
{
    for (int i = 0; i < driver.count; i++)
        if (!strcmp(driver.cards[i].uuid, uuid))
            return by_number(i, handle);
    return NOT_FOUND;
}
API nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **handle)
{
    for (int i = 0; i < driver.count; i++)
        if (!strcasecmp(driver.cards[i].bus, bus) || !strcasecmp(driver.cards[i].bus + 4, bus))
            return by_number(i, handle);
    return NOT_FOUND;
}

API nvmlDeviceGetName(void *handle, char *name, unsigned size) { KNOWN_CARD(handle); return text(name, size, card->name); }
API nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) { KNOWN_CARD(handle); return text(uuid, size, card->uuid); }
API nvmlDeviceGetSerial(void *handle, char *serial, unsigned size) { KNOWN_CARD(handle); return text(serial, size, "simulated"); }
API nvmlDeviceGetVbiosVersion(void *handle, char *version, unsigned size) { CARD(handle); return text(version, size, "simulated"); }
API nvmlDeviceGetBoardPartNumber(void *handle, char *part, unsigned size) { CARD(handle); return text(part, size, "simulated"); }
API nvmlDeviceGetBrand(void *handle, unsigned *brand) { KNOWN_CARD(handle); GIVE(brand, card->brand); }
API nvmlDeviceGetIndex(void *handle, unsigned *index) { KNOWN_CARD(handle); GIVE(index, card->index); }
API nvmlDeviceGetMinorNumber(void *handle, unsigned *minor) { KNOWN_CARD(handle); GIVE(minor, card->minor); }
API nvmlDeviceGetBoardId(void *handle, unsigned *board) { KNOWN_CARD(handle); GIVE(board, 256 * (card->minor + 1)); }
API nvmlDeviceGetMultiGpuBoard(void *handle, unsigned *several) { KNOWN_CARD(handle); GIVE(several, 0); }
API nvmlDeviceGetArchitecture(void *handle, unsigned *architecture) { KNOWN_CARD(handle); GIVE(architecture, card->architecture); }
API nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor)
{
    KNOWN_CARD(handle);
    *minor = (int)card->capability_minor;
    GIVE(major, card->capability_major);
}

struct pci_ext { unsigned version, domain, bus, device, id, subsystem, base, sub; char bus_id[32]; };

static void fill_pci(const struct card *card, struct pci *pci)
{
    unsigned function = 0;
    memset(pci, 0, sizeof *pci);
    sscanf(card->bus, "%x:%x:%x.%x", &pci->domain, &pci->bus, &pci->device, &function);
    snprintf(pci->legacy, sizeof pci->legacy, "%04X:%02X:%02X.%X", pci->domain, pci->bus, pci->device, function);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.%X", pci->domain, pci->bus, pci->device, function);
    pci->id = 0x10DE;
}

API nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci) { KNOWN_CARD(handle); fill_pci(card, pci); return SUCCESS; }
API nvmlDeviceGetPciInfo_v2(void *handle, struct pci *pci) { KNOWN_CARD(handle); fill_pci(card, pci); return SUCCESS; }
API nvmlDeviceGetPciInfo(void *handle, struct pci *pci) { KNOWN_CARD(handle); fill_pci(card, pci); return SUCCESS; }
API nvmlDeviceGetPciInfoExt(void *handle, struct pci_ext *ext)
{
    struct pci pci;
    KNOWN_CARD(handle);
    fill_pci(card, &pci);
    ext->domain = pci.domain;
    ext->bus = pci.bus;
    ext->device = pci.device;
    ext->id = pci.id;
    ext->subsystem = 0;
    ext->base = 3;
    ext->sub = 0;
    memcpy(ext->bus_id, pci.bus_id, sizeof ext->bus_id);
    return SUCCESS;
}
API nvmlDeviceGetMaxPcieLinkGeneration(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->generation); }
API nvmlDeviceGetGpuMaxPcieLinkGeneration(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->device_generation); }
API nvmlDeviceGetCurrPcieLinkGeneration(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->idle_generation); }
API nvmlDeviceGetCurrPcieLinkWidth(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->lanes); }
API nvmlDeviceGetMaxPcieLinkWidth(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->device_lanes); }
API nvmlDeviceGetPcieReplayCounter(void *handle, unsigned *value) { CARD(handle); GIVE(value, 0); }

struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };

API nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *memory)
{
    CARD(handle);
    if (card->total_mib < 0)
        return NOT_SUPPORTED;
    memory->total = card->total_mib * MIB;
    memory->reserved = card->reserved_mib > 0 ? card->reserved_mib * MIB : 0;
    memory->used = used_bytes(card);
    memory->free = memory->total - memory->reserved - memory->used;
    return SUCCESS;
}
API nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory)
{
    struct memory_v2 newer;
    int answer = nvmlDeviceGetMemoryInfo_v2(handle, &newer);
    if (answer == SUCCESS) {
        memory->total = newer.total;
        memory->free = newer.free;
        memory->used = newer.used + newer.reserved;     /* the older call does not tell them apart */
    }
    return answer;
}
API nvmlDeviceGetBAR1MemoryInfo(void *handle, struct memory *memory)
{
    CARD(handle);
    memory->total = memory->free = 256 * MIB;
    memory->used = 0;
    return SUCCESS;
}

struct process_info { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; };

static int processes(void *handle, char kind, unsigned *count, struct process_info *infos)
{
    CARD(handle);
    unsigned room = *count, found = 0;
    for (int i = 0; i < card->process_count; i++) {
        if (card->processes[i].kind != kind)
            continue;
        if (infos && found < room)
            infos[found] = (struct process_info){card->processes[i].pid, card->processes[i].bytes, ~0u, ~0u};
        found++;
    }
    *count = found;
    return found > room || (found && !infos) ? INSUFFICIENT_SIZE : SUCCESS;
}

API nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, void *infos) { return processes(handle, 'C', count, infos); }
API nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, void *infos) { return processes(handle, 'C', count, infos); }
API nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, void *infos) { return processes(handle, 'G', count, infos); }
API nvmlDeviceGetGraphicsRunningProcesses_v2(void *handle, unsigned *count, void *infos) { return processes(handle, 'G', count, infos); }
API nvmlDeviceGetMPSComputeRunningProcesses_v3(void *handle, unsigned *count, void *infos) { return processes(handle, 'M', count, infos); }

struct utilization { unsigned gpu, memory; };
API nvmlDeviceGetUtilizationRates(void *handle, struct utilization *rates)
{
    CARD(handle);
    rates->memory = 0;
    GIVE(&rates->gpu, card->utilization);
}
API nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *value) { (void)sensor; CARD(handle); GIVE(value, card->temperature); }
API nvmlDeviceGetFanSpeed(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->fan); }
API nvmlDeviceGetPerformanceState(void *handle, unsigned *state) { CARD(handle); GIVE(state, card->utilization > 0 ? 2 : 8); }
API nvmlDeviceGetPowerState(void *handle, unsigned *state) { CARD(handle); GIVE(state, card->utilization > 0 ? 2 : 8); }
API nvmlDeviceGetDisplayMode(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->display); }
API nvmlDeviceGetDisplayActive(void *handle, unsigned *value) { CARD(handle); GIVE(value, card->display); }

API nvmlDeviceGetComputeMode(void *handle, unsigned *mode) { CARD(handle); GIVE(mode, kept(card, "compute-mode", card->compute_mode)); }
API nvmlDeviceSetComputeMode(void *handle, unsigned mode)
{
    CARD(handle);
    if (!may_change())
        return NO_PERMISSION;
    return mode > 3 ? INVALID_ARGUMENT : keep(card, "compute-mode", mode);
}
API nvmlDeviceGetPersistenceMode(void *handle, unsigned *mode) { CARD(handle); GIVE(mode, kept(card, "persistence", 0)); }
API nvmlDeviceSetPersistenceMode(void *handle, unsigned mode)
{
    CARD(handle);
    if (!may_change())
        return NO_PERMISSION;
    if (!mode && kept(card, "persistence", 0))
        forget_unused(card);
    return mode > 1 ? INVALID_ARGUMENT : keep(card, "persistence", mode);
}

API nvmlDeviceGetEccMode(void *handle, unsigned *current, unsigned *pending)
{
    CARD(handle);
    *pending = card->ecc_pending < 0 ? (unsigned)card->ecc : (unsigned)card->ecc_pending;
    GIVE(current, card->ecc);
}
static long long errors(const struct card *card)
{
    return card->ecc < 0 ? -1 : kept(card, "ecc-errors", card->ecc_errors < 0 ? 0 : card->ecc_errors);
}
API nvmlDeviceGetTotalEccErrors(void *handle, int kind, int counter, unsigned long long *count)
{
    (void)counter;
    CARD(handle);
    GIVE(count, kind == 1 ? errors(card) : errors(card) < 0 ? -1 : 0);
}
API nvmlDeviceGetMemoryErrorCounter(void *handle, int kind, int counter, int place, unsigned long long *count)
{
    (void)counter;
    CARD(handle);
    /* 2: in the card's own memory, where all of them are counted here */
    GIVE(count, errors(card) < 0 ? -1 : kind == 1 && place == 2 ? errors(card) : 0);
}
API nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending)
{
    CARD(handle);
    *pending = (unsigned)card->mig;
    GIVE(current, card->mig);
}
API nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) { CARD(handle); GIVE(count, card->mig < 0 ? 0 : 7); }
API nvmlDeviceIsMigDeviceHandle(void *handle, unsigned *is) { CARD(handle); GIVE(is, 0); }
