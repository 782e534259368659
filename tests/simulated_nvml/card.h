/* A simulated NVIDIA driver for tests: what its cards are, and what was done to them since it was loaded. */
#ifndef SIMULATED_CARD_H
#define SIMULATED_CARD_H

#define MOST_CARDS 32
#define MOST_LINKS 18
#define MOST_PROCESSES 64
#define NAME_SIZE 96

/* NVML_ERROR_*, https://docs.nvidia.com/deploy/nvml-api/ */
enum answer {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15, VERSION_MISMATCH = 18
};

struct process {
    unsigned pid;
    unsigned long long bytes;
    char kind;                  /* C or G */
    char name[256];
};

/* One line of the description per member; -1 and an empty name stand for what this card does not report. */
struct card {
    char name[NAME_SIZE], uuid[NAME_SIZE], bus[20];
    long long index, minor, brand, architecture, capability_major, capability_minor;
    long long total_mib, reserved_mib, other_used_mib;
    long long power_mw, limit_mw, default_mw, min_mw, max_mw;
    long long generation, device_generation, idle_generation, lanes, device_lanes;
    long long temperature, fan, utilization, compute_mode, ecc, ecc_pending, ecc_errors, mig, display;
    long long peers[MOST_LINKS];        /* one per link: index of the card at its other end */
    int links;
    struct process processes[MOST_PROCESSES];
    int process_count;
};

struct driver {
    char version[64];
    long long cuda;
    int has_nodes;              /* cards are seen through /dev/nvidiaN alone, as the real driver's are */
    struct card cards[MOST_CARDS];
    int count;
};

extern struct driver driver;

/* Reads the description; answers as nvmlInit does. */
int load_driver(void);
/* What was set on a card, or `otherwise`. It is kept in a folder that a reboot empties, as a driver forgets. */
long long kept(const struct card *card, const char *what, long long otherwise);
int keep(const struct card *card, const char *what, long long value);
/* What a driver does that puts a card down which nobody uses: everything that was set is lost. */
void forget_unused(const struct card *card);
/* A test makes a card fail by a file of this name beside what is kept. */
int fails(const struct card *card, const char *how);
/* As long as there is a file CARD.hang, whoever asks the card itself waits: Xid 119. */
void wait_for(const struct card *card);
int may_change(void);
unsigned long long used_bytes(const struct card *card);
void unanswered(const char *what);
struct card *card_of(void *handle);

/* nvmlPciInfo_t */
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
extern int nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci);
extern int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle);

#define API __attribute__((visibility("default"))) int
/* A card of which something is asked that the driver read when it took the card. */
#define KNOWN_CARD(handle)                                       \
    struct card *card = card_of(handle);                         \
    if (!card) return INVALID_ARGUMENT;                          \
    if (fails(card, "lost")) return GPU_IS_LOST
#define CARD(handle)                                             \
    struct card *card = card_of(handle);                         \
    if (!card) return INVALID_ARGUMENT;                          \
    wait_for(card);                                              \
    if (fails(card, "lost")) return GPU_IS_LOST
/* A card that does not report something has -1 there. */
#define GIVE(target, value)                                      \
    do {                                                         \
        long long given_ = (value);                              \
        if (given_ < 0) return NOT_SUPPORTED;                    \
        *(target) = given_;                                      \
        return SUCCESS;                                          \
    } while (0)

#endif
