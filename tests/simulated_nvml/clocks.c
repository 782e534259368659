/* Clocks: what a card may run at, what it is locked to, and what it runs at. The driver tells nobody what is locked. */
#include "card.h"

#include <stddef.h>

/* As `nvidia-smi -q -d SUPPORTED_CLOCKS` of an RTX 3090 lists them; every simulated card has the same. */
#define LEAST_MHZ 210u
#define MOST_MHZ 2100u
#define STEP_MHZ 15u
#define BUSY_MHZ 1695u
static const unsigned memory_mhz[] = {9751, 9501, 5001, 810, 405};
#define MEMORY_CLOCKS (sizeof memory_mhz / sizeof *memory_mhz)

/* NVML_CLOCK_* */
enum { GRAPHICS, SM, MEMORY, VIDEO };

API nvmlDeviceGetSupportedMemoryClocks(void *handle, unsigned *count, unsigned *mhz)
{
    CARD(handle);
    unsigned room = *count;
    *count = MEMORY_CLOCKS;
    if (!mhz || room < MEMORY_CLOCKS)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < MEMORY_CLOCKS; i++)
        mhz[i] = memory_mhz[i];
    return SUCCESS;
}

API nvmlDeviceGetSupportedGraphicsClocks(void *handle, unsigned memory, unsigned *count, unsigned *mhz)
{
    CARD(handle);
    unsigned room = *count, most = memory == memory_mhz[MEMORY_CLOCKS - 1] ? 420 : MOST_MHZ, known = 0;
    for (unsigned i = 0; i < MEMORY_CLOCKS; i++)
        known |= memory_mhz[i] == memory;
    if (!known)
        return NOT_FOUND;
    *count = (most - LEAST_MHZ) / STEP_MHZ + 1;
    if (!mhz || room < *count)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *count; i++)
        mhz[i] = most - i * STEP_MHZ;
    return SUCCESS;
}

static int lock(const struct card *card, const char *least_key, const char *most_key, long long least, long long most)
{
    if (!may_change())
        return NO_PERMISSION;
    int answer = keep(card, least_key, least);
    return answer == SUCCESS ? keep(card, most_key, most) : answer;
}

static int set(struct card *card, int memory, unsigned least, unsigned most)
{
    unsigned lowest = memory ? memory_mhz[MEMORY_CLOCKS - 1] : LEAST_MHZ, highest = memory ? memory_mhz[0] : MOST_MHZ;
    if (fails(card, "no-clock-lock"))
        return NOT_SUPPORTED;
    if (may_change() && (least > most || least < lowest || most > highest))
        return INVALID_ARGUMENT;
    return memory ? lock(card, "memory-lock-least", "memory-lock-most", least, most)
                  : lock(card, "clock-lock-least", "clock-lock-most", least, most);
}

API nvmlDeviceSetGpuLockedClocks(void *handle, unsigned least, unsigned most) { CARD(handle); return set(card, 0, least, most); }
API nvmlDeviceSetMemoryLockedClocks(void *handle, unsigned least, unsigned most) { CARD(handle); return set(card, 1, least, most); }
API nvmlDeviceResetGpuLockedClocks(void *handle) { CARD(handle); return lock(card, "clock-lock-least", "clock-lock-most", -1, -1); }
API nvmlDeviceResetMemoryLockedClocks(void *handle) { CARD(handle); return lock(card, "memory-lock-least", "memory-lock-most", -1, -1); }

static long long within(long long mhz, long long least, long long most)
{
    if (most >= 0 && mhz > most)
        return most;
    return mhz < least ? least : mhz;
}

API nvmlDeviceGetClockInfo(void *handle, int kind, unsigned *mhz)
{
    CARD(handle);
    int busy = card->utilization > 0;
    if (kind == MEMORY)
        GIVE(mhz, within(busy ? 9501 : 405, kept(card, "memory-lock-least", -1), kept(card, "memory-lock-most", -1)));
    GIVE(mhz, within(busy ? BUSY_MHZ : LEAST_MHZ, kept(card, "clock-lock-least", -1), kept(card, "clock-lock-most", -1)));
}
API nvmlDeviceGetMaxClockInfo(void *handle, int kind, unsigned *mhz)
{
    CARD(handle);
    GIVE(mhz, kind == MEMORY ? memory_mhz[0] : MOST_MHZ);
}

/* Reasons for a lower clock, a bit each; a file CARD.clock-reasons in the state folder has those of a busy card. */
#define IDLE 1
#define ALL_REASONS 0x1ff
API nvmlDeviceGetSupportedClocksThrottleReasons(void *handle, unsigned long long *reasons) { CARD(handle); GIVE(reasons, ALL_REASONS); }
API nvmlDeviceGetSupportedClocksEventReasons(void *handle, unsigned long long *reasons) { CARD(handle); GIVE(reasons, ALL_REASONS); }
static long long reasons_now(const struct card *card) { return kept(card, "clock-reasons", card->utilization > 0 ? 0 : IDLE); }
API nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *reasons) { CARD(handle); GIVE(reasons, reasons_now(card)); }
API nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *reasons) { CARD(handle); GIVE(reasons, reasons_now(card)); }
