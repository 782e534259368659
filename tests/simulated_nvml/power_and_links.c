/* Power limits, NVLink, topology, events, and the table of internals that nvidia-smi asks for. */
#include "card.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static long long limit(const struct card *card) { return kept(card, "power-limit", card->limit_mw); }

API nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) { CARD(handle); GIVE(mw, card->power_mw); }
API nvmlDeviceGetPowerManagementMode(void *handle, unsigned *mode) { CARD(handle); GIVE(mode, card->limit_mw < 0 ? 0 : 1); }
API nvmlDeviceGetPowerManagementLimit(void *handle, unsigned *mw) { CARD(handle); GIVE(mw, limit(card)); }
API nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *mw) { CARD(handle); GIVE(mw, limit(card)); }
API nvmlDeviceGetPowerManagementDefaultLimit(void *handle, unsigned *mw) { CARD(handle); GIVE(mw, card->default_mw); }
API nvmlDeviceGetPowerManagementLimitConstraints(void *handle, unsigned *min, unsigned *max)
{
    CARD(handle);
    *max = (unsigned)card->max_mw;
    GIVE(min, card->min_mw);
}

static int set_limit(struct card *card, long long mw)
{
    if (card->limit_mw < 0)
        return NOT_SUPPORTED;
    if (!may_change())
        return NO_PERMISSION;
    if (mw < card->min_mw || mw > card->max_mw)
        return INVALID_ARGUMENT;
    return keep(card, "power-limit", mw);
}

struct power_value { unsigned version; unsigned char scope; unsigned mw; };
API nvmlDeviceSetPowerManagementLimit(void *handle, unsigned mw) { CARD(handle); return set_limit(card, mw); }
API nvmlDeviceSetPowerManagementLimit_v2(void *handle, struct power_value *value) { CARD(handle); return set_limit(card, value->mw); }

struct field_value {
    unsigned id, scope;
    long long timestamp, latency;
    int kind, answer;
    union { double d; unsigned u; unsigned long long ull; } value;
};

API nvmlDeviceGetFieldValues(void *handle, int count, struct field_value *values)
{
    CARD(handle);
    for (int i = 0; i < count; i++) {
        long long found = -1;
        switch (values[i].id) {         /* NVML_FI_DEV_POWER_* */
        case 185: case 186: found = values[i].scope ? -1 : card->power_mw; break;
        case 187: found = card->min_mw; break;
        case 188: found = card->max_mw; break;
        case 189: found = card->default_mw; break;
        case 190: case 192: found = limit(card); break;
        default: { char name[32]; snprintf(name, sizeof name, "field %u", values[i].id); unanswered(name); }
        }
        /* Scope 1 and 2 are the module and its memory: no card here has them apart. */
        if (values[i].id >= 185 && values[i].id <= 192 && values[i].scope)
            found = -1;
        values[i].kind = 1;
        values[i].answer = found < 0 ? NOT_SUPPORTED : SUCCESS;
        values[i].value.ull = found < 0 ? 0 : (unsigned long long)found;
    }
    return SUCCESS;
}

static int linked(const struct card *card, const struct card *other)
{
    for (int i = 0; i < card->links; i++)
        if (card->peers[i] == other->index)
            return 1;
    return 0;
}

API nvmlDeviceGetNvLinkState(void *handle, unsigned link, unsigned *active)
{
    CARD(handle);
    GIVE(active, (int)link < card->links ? 1 : -1);
}
API nvmlDeviceGetNvLinkVersion(void *handle, unsigned link, unsigned *version) { CARD(handle); GIVE(version, (int)link < card->links ? 3 : -1); }
API nvmlDeviceGetNvLinkRemoteDeviceType(void *handle, unsigned link, unsigned *kind) { CARD(handle); GIVE(kind, (int)link < card->links ? 0 : -1); }
API nvmlDeviceGetNvLinkCapability(void *handle, unsigned link, int what, unsigned *able)
{
    CARD(handle);
    GIVE(able, (int)link < card->links ? (what == 0) : -1);     /* 0: peer to peer */
}
API nvmlDeviceGetNvLinkRemotePciInfo_v2(void *handle, unsigned link, struct pci *pci)
{
    CARD(handle);
    if ((int)link >= card->links || card->peers[link] >= driver.count)
        return NOT_SUPPORTED;
    return nvmlDeviceGetPciInfo_v3(&driver.cards[card->peers[link]], pci);
}
API nvmlDeviceGetP2PStatus(void *handle, void *other, int what, int *status)
{
    CARD(handle);
    struct card *to = card_of(other);
    if (!to)
        return INVALID_ARGUMENT;
    *status = what == 2 && !linked(card, to) ? 5 : 0;   /* 2: over NVLink; 5: not supported */
    return SUCCESS;
}
API nvmlDeviceGetTopologyCommonAncestor(void *handle, void *other, int *level)
{
    CARD(handle);
    *level = card_of(other) == card ? 0 : 30;           /* a PCIe host bridge */
    return SUCCESS;
}
API nvmlDeviceGetCpuAffinity(void *handle, unsigned size, unsigned long *mask)
{
    CARD(handle);
    memset(mask, 0, size * sizeof *mask);
    mask[0] = 1;
    return SUCCESS;
}
API nvmlDeviceGetCpuAffinityWithinScope(void *handle, unsigned size, unsigned long *mask, int scope)
{
    (void)scope;
    return nvmlDeviceGetCpuAffinity(handle, size, mask);
}
API nvmlDeviceGetMemoryAffinity(void *handle, unsigned size, unsigned long *mask, int scope)
{
    (void)scope;
    return nvmlDeviceGetCpuAffinity(handle, size, mask);
}
API nvmlDeviceGetNumaNodeId(void *handle, unsigned *node) { CARD(handle); GIVE(node, 0); }

/* Events: a file CARD.xid in the state folder is an Xid that happened; it is told once. */
#define XID 8ULL
struct event { void *device; unsigned long long kind, data; unsigned gpu_instance, compute_instance; };
static int event_set;
API nvmlEventSetCreate(void **set) { *set = &event_set; return SUCCESS; }
API nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }
API nvmlDeviceGetSupportedEventTypes(void *handle, unsigned long long *kinds) { CARD(handle); *kinds = XID; return SUCCESS; }
API nvmlDeviceRegisterEvents(void *handle, unsigned long long kinds, void *set) { (void)kinds; (void)set; CARD(handle); return SUCCESS; }
API nvmlEventSetWait_v2(void *set, struct event *event, unsigned timeout_ms)
{
    (void)set;
    for (int i = 0; i < driver.count; i++) {
        long long xid = kept(&driver.cards[i], "xid", -1);
        if (xid < 0 || xid == kept(&driver.cards[i], "xid-told", -1))
            continue;
        *event = (struct event){&driver.cards[i], XID, (unsigned long long)xid, ~0u, ~0u};
        keep(&driver.cards[i], "xid-told", xid);
        return SUCCESS;
    }
    (void)timeout_ms;
    return TIMEOUT;
}

/* nvidia-smi asks a table of functions that are not public. Slots as NVIDIA's k8s-test-infra documents them. */
#define SLOTS 256
#define HANDLE_BY_INDEX 81
#define FIRST_PROCESS_LIST 213
#define LAST_PROCESS_LIST 215
#define HOST_GENERATION 230
#define TEMPERATURE_MARGIN 240

struct listed { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; unsigned long long protected; char name[4096]; };

static unsigned list_processes(const struct card *card, char kind, struct listed *entries, unsigned room)
{
    unsigned found = 0;
    for (int i = 0; i < card->process_count && found < room; i++) {
        if (card->processes[i].kind != kind)
            continue;
        entries[found] = (struct listed){card->processes[i].pid, card->processes[i].bytes, ~0u, ~0u, 0, {0}};
        snprintf(entries[found].name, sizeof entries[found].name, "%s", card->processes[i].name);
        found++;
    }
    return found;
}

static int internal(unsigned slot, void *first, void *second, void *third)
{
    struct card *card = card_of(first);
    if (slot == HANDLE_BY_INDEX && (unsigned long)first < MOST_CARDS && second && (unsigned long)third == 0x22)
        return nvmlDeviceGetHandleByIndex_v2((unsigned)(unsigned long)first, second);
    if (!card || !second)
        return SUCCESS;
    if (slot >= FIRST_PROCESS_LIST && slot <= LAST_PROCESS_LIST && (unsigned long)third > 0x100000) {
        unsigned *count = second;
        static const char kinds[] = {'C', 'M', 'G'};
        *count = list_processes(card, kinds[slot - FIRST_PROCESS_LIST], third, *count);
        return SUCCESS;
    }
    if (slot == HOST_GENERATION)
        GIVE((unsigned *)second, card->generation > 0 ? card->generation : -1);
    if (slot == TEMPERATURE_MARGIN)
        return NOT_SUPPORTED;
    /* Nothing is written for the rest: some take one argument, and the second is what a register happened to hold. */
    char name[32];
    snprintf(name, sizeof name, "internal %u", slot);
    unanswered(name);
    return SUCCESS;
}

#define SLOT(high, low) \
    static int slot_##high##low(void *a, void *b, void *c) { return internal(0x##high##low, a, b, c); }
#define ENTRY(high, low) (void *)slot_##high##low,
#define ROW(each, high)                                                                                        \
    each(high, 0) each(high, 1) each(high, 2) each(high, 3) each(high, 4) each(high, 5) each(high, 6)          \
    each(high, 7) each(high, 8) each(high, 9) each(high, A) each(high, B) each(high, C) each(high, D)          \
    each(high, E) each(high, F)
#define ALL(each)                                                                                              \
    ROW(each, 0) ROW(each, 1) ROW(each, 2) ROW(each, 3) ROW(each, 4) ROW(each, 5) ROW(each, 6) ROW(each, 7)    \
    ROW(each, 8) ROW(each, 9) ROW(each, A) ROW(each, B) ROW(each, C) ROW(each, D) ROW(each, E) ROW(each, F)
ALL(SLOT)

API nvmlInternalGetExportTable(const void **table, const void *name)
{
    static void *entries[SLOTS] = {ALL(ENTRY)};
    (void)name;
    entries[0] = (void *)sizeof entries;
    *table = entries;
    return SUCCESS;
}
