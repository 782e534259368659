/* The simulated driver's state: a description (one `key value` per line) and a folder under /run for what was set. */
#include "card.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1024ULL * 1024ULL)

struct driver driver;

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static const char *state_folder(void)
{
    return from_environment("SIMULATED_NVML_STATE", "/run/simulated-nvml");
}

static const struct { const char *key; size_t offset; } numbers[] = {
#define NUMBER(member) {#member, offsetof(struct card, member)}
    NUMBER(index), NUMBER(brand), NUMBER(architecture), NUMBER(capability_major), NUMBER(capability_minor),
    NUMBER(total_mib), NUMBER(reserved_mib), NUMBER(other_used_mib), NUMBER(power_mw), NUMBER(limit_mw),
    NUMBER(default_mw), NUMBER(min_mw), NUMBER(max_mw), NUMBER(generation), NUMBER(device_generation),
    NUMBER(idle_generation), NUMBER(lanes), NUMBER(device_lanes), NUMBER(temperature), NUMBER(fan),
    NUMBER(utilization), NUMBER(compute_mode), NUMBER(ecc), NUMBER(ecc_pending), NUMBER(ecc_errors), NUMBER(mig),
    NUMBER(display),
#undef NUMBER
};

static void begin_card(void)
{
    struct card *card = &driver.cards[driver.count++];
    memset(card, 0, sizeof *card);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *(long long *)((char *)card + numbers[i].offset) = -1;
    card->index = card->minor = driver.count - 1;
}

static void read_process(struct card *card, const char *value)
{
    struct process *process = &card->processes[card->process_count];
    long long mib = 0;
    if (card->process_count < MOST_PROCESSES
        && sscanf(value, "%u %lld %c %255[^\n]", &process->pid, &mib, &process->kind, process->name) == 4) {
        process->bytes = mib < 0 ? ~0ULL : (unsigned long long)mib * MIB;
        card->process_count++;
    }
}

static void read_card_line(struct card *card, const char *key, const char *value)
{
    if (!strcmp(key, "name"))
        snprintf(card->name, sizeof card->name, "%s", value);
    else if (!strcmp(key, "uuid"))
        snprintf(card->uuid, sizeof card->uuid, "%s", value);
    else if (!strcmp(key, "bus"))
        snprintf(card->bus, sizeof card->bus, "%s", value);
    else if (!strcmp(key, "link") && card->links < MOST_LINKS)
        card->peers[card->links++] = atoll(value);
    else if (!strcmp(key, "process"))
        read_process(card, value);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(key, numbers[i].key))
            *(long long *)((char *)card + numbers[i].offset) = atoll(value);
}

/* Whoever may open a node is let in; that no kernel driver answers behind it (ENXIO) is the simulation. */
static int may_open(const char *node)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", from_environment("SIMULATED_NVML_NODES", "/dev"), node);
    int descriptor = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0 || errno == ENXIO;
}

/* A card whose node cannot be opened is not there, and those after it move up; links lead to those that are left. */
static void hide_cards_without_a_node(void)
{
    long long moved[MOST_CARDS];
    int seen = 0;
    for (int i = 0; i < driver.count; i++) {
        char node[32];
        snprintf(node, sizeof node, "nvidia%d", i);
        moved[i] = may_open(node) ? seen : -1;
        if (moved[i] >= 0)
            driver.cards[seen++] = driver.cards[i];
    }
    driver.count = seen;
    for (int i = 0; i < driver.count; i++) {
        struct card *card = &driver.cards[i];
        int links = 0;
        card->index = i;
        for (int l = 0; l < card->links; l++)
            if (card->peers[l] >= 0 && card->peers[l] < MOST_CARDS && moved[card->peers[l]] >= 0)
                card->peers[links++] = moved[card->peers[l]];
        card->links = links;
    }
}

int load_driver(void)
{
    FILE *file = fopen(from_environment("SIMULATED_NVML", "/etc/simulated-nvml"), "r");
    char line[512], key[64], value[400];
    if (!file || fails(NULL, "not-loaded"))
        return DRIVER_NOT_LOADED;
    if (fails(NULL, "mismatch"))
        return VERSION_MISMATCH;
    memset(&driver, 0, sizeof driver);
    while (fgets(line, sizeof line, file)) {
        value[0] = 0;
        if (sscanf(line, "%63s %399[^\n]", key, value) < 1 || key[0] == '#')
            continue;
        if (!strcmp(key, "card") && driver.count < MOST_CARDS)
            begin_card();
        else if (driver.count)
            read_card_line(&driver.cards[driver.count - 1], key, value);
        else if (!strcmp(key, "driver"))
            snprintf(driver.version, sizeof driver.version, "%s", value);
        else if (!strcmp(key, "cuda"))
            driver.cuda = atoll(value);
        else if (!strcmp(key, "nodes"))
            driver.has_nodes = atoi(value);
    }
    fclose(file);
    if (driver.has_nodes) {
        if (!may_open("nvidiactl"))
            return DRIVER_NOT_LOADED;
        hide_cards_without_a_node();
    }
    return SUCCESS;
}

static void path_of(char *path, size_t size, const struct card *card, const char *what)
{
    snprintf(path, size, "%s/%s.%s", state_folder(), card ? card->uuid : "driver", what);
}

long long kept(const struct card *card, const char *what, long long otherwise)
{
    char path[512];
    long long value = otherwise;
    path_of(path, sizeof path, card, what);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%lld", &value) != 1)
            value = otherwise;
        fclose(file);
    }
    return value;
}

int keep(const struct card *card, const char *what, long long value)
{
    char path[512];
    mkdir(state_folder(), 0755);
    path_of(path, sizeof path, card, what);
    FILE *file = fopen(path, "w");
    if (!file)
        return NO_PERMISSION;
    fprintf(file, "%lld\n", value);
    fclose(file);
    return SUCCESS;
}

void forget_unused(const struct card *card)
{
    static const char *const set[] = {"power-limit", "compute-mode", "clock-lock-least", "clock-lock-most",
                                      "memory-lock-least", "memory-lock-most"};
    char path[512];
    for (size_t i = 0; !card->process_count && i < sizeof set / sizeof *set; i++) {
        path_of(path, sizeof path, card, set[i]);
        unlink(path);
    }
}

int fails(const struct card *card, const char *how)
{
    char path[512];
    path_of(path, sizeof path, card, how);
    return access(path, F_OK) == 0;
}

void wait_for(const struct card *card)
{
    while (fails(card, "hang"))
        sleep(1);
}

int may_change(void)
{
    /* A test that is not root plays root, and the other way round. */
    const char *uid = getenv("SIMULATED_NVML_UID");
    return uid ? atoi(uid) == 0 : geteuid() == 0;
}

unsigned long long used_bytes(const struct card *card)
{
    unsigned long long used = card->other_used_mib > 0 ? card->other_used_mib * MIB : 0;
    for (int i = 0; i < card->process_count; i++)
        if (card->processes[i].bytes != ~0ULL)
            used += card->processes[i].bytes;
    return used;
}

void unanswered(const char *what)
{
    const char *log = getenv("SIMULATED_NVML_LOG");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", what);
        fclose(file);
    }
}

struct card *card_of(void *handle)
{
    for (int i = 0; i < driver.count; i++)
        if (handle == &driver.cards[i])
            return &driver.cards[i];
    return NULL;
}
