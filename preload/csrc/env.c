#include "env.h"

#include <errno.h>
#include <sys/mman.h>

#include "raw.h"
#include "settings.h"
#include "text.h"

#define SLOTS 150 /* LIMIT: pointers on the stack; a longer list is mapped */
#define PRELOAD_SIZE 512

/* What is in an environment. */
struct survey {
    size_t count;
    bool intact;
    const char *preload; /* the value of the last LD_PRELOAD: the one that counts */
};

/* Room for a repaired environment. */
struct room {
    char **slots;
    char *preload;
    size_t preload_size;
};

/* True if `entry` is as this process got it. */
static bool is_kept(const struct settings *settings, enum variable which, const char *entry) {
    if (which == VARIABLE_PRELOAD) {
        return !settings->own || preload_holds(variable_value(entry, which), settings->own,
                                               settings->own_size);
    }
    return settings->entries[which] && text_equal(entry, settings->entries[which]);
}

static struct survey survey_of(char *const *environment) {
    const struct settings *settings = settings_get();
    struct survey found = {.count = 0, .intact = true, .preload = NULL};
    unsigned seen = 0;
    unsigned wanted = 0;
    for (int each = 0; each < VARIABLE_COUNT; each++) {
        bool needed = each == VARIABLE_PRELOAD ? settings->own != NULL
                                               : settings->entries[each] != NULL;
        wanted |= needed ? 1u << each : 0;
    }
    for (; environment && environment[found.count]; found.count++) {
        const char *entry = environment[found.count];
        enum variable which = variable_of(entry);
        if (which == VARIABLE_COUNT) {
            continue;
        }
        unsigned bit = 1u << which;
        if ((seen & bit) || !is_kept(settings, which, entry)) {
            found.intact = false;
        }
        seen |= bit;
        if (which == VARIABLE_PRELOAD) {
            found.preload = variable_value(entry, which);
        }
    }
    found.intact = found.intact && (seen & wanted) == wanted;
    return found;
}

static size_t preload_size(const struct survey *found) {
    const struct settings *settings = settings_get();
    return sizeof "LD_PRELOAD=:" + settings->own_size +
           (found->preload ? text_length(found->preload) : 0);
}

/* Returns the entry for LD_PRELOAD: ours in front of what the program wants there. */
static char *preload_entry(const struct survey *found, const struct room *room) {
    const struct settings *settings = settings_get();
    if (!found->preload || !*found->preload) {
        return unconst(settings->entries[VARIABLE_PRELOAD]);
    }
    struct buffer entry = {room->preload, room->preload_size - 1, 0, false};
    put_text(&entry, "LD_PRELOAD=");
    if (!preload_holds(found->preload, settings->own, settings->own_size)) {
        put_bytes(&entry, settings->own, settings->own_size);
        put_text(&entry, ":");
    }
    put_text(&entry, found->preload);
    room->preload[entry.used] = 0;
    return room->preload;
}

static void repair(char *const *environment, const struct survey *found, struct room *room) {
    const struct settings *settings = settings_get();
    char **out = room->slots;
    for (size_t n = 0; n < found->count; n++) {
        enum variable which = variable_of(environment[n]);
        if (which == VARIABLE_COUNT || (which == VARIABLE_PRELOAD && !settings->own)) {
            *out++ = environment[n];
        }
    }
    if (settings->own) {
        *out++ = preload_entry(found, room);
    }
    for (int each = VARIABLE_PRELOAD + 1; each < VARIABLE_COUNT; each++) {
        if (settings->entries[each]) {
            *out++ = unconst(settings->entries[each]);
        }
    }
    *out = NULL;
}

__attribute__((noinline)) static long apply_small(char *const *environment,
                                                  const struct survey *found, env_use *use,
                                                  void *context) {
    char *slots[SLOTS];
    char preload[PRELOAD_SIZE];
    struct room room = {slots, preload, sizeof preload};
    repair(environment, found, &room);
    return use(context, slots);
}

/* LIMIT: in a vfork child that then becomes another program, the mapping stays with the parent:
 * some pages for each such call. Only programs with more than SLOTS variables that also drop the
 * guard come here. */
__attribute__((noinline)) static long apply_large(char *const *environment,
                                                  const struct survey *found, env_use *use,
                                                  void *context) {
    size_t slots_size = (found->count + VARIABLE_COUNT + 1) * sizeof(char *);
    size_t size = slots_size + preload_size(found);
    long mapped = raw6(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (RAW_FAILED(mapped)) {
        return -ENOMEM;
    }
    char *base = (char *)mapped;
    struct room room = {(char **)mapped, base + slots_size, size - slots_size};
    repair(environment, found, &room);
    long result = use(context, room.slots);
    raw2(SYS_munmap, mapped, size);
    return result;
}

bool env_intact(char *const *environment) {
    return settings_get()->mode == MODE_DISABLED || survey_of(environment).intact;
}

long env_apply(char *const *environment, env_use *use, void *context) {
    if (settings_get()->mode == MODE_DISABLED) {
        return use(context, environment);
    }
    struct survey found = survey_of(environment);
    if (found.intact) {
        return use(context, environment);
    }
    bool small = found.count + VARIABLE_COUNT < SLOTS && preload_size(&found) <= PRELOAD_SIZE;
    return small ? apply_small(environment, &found, use, context)
                 : apply_large(environment, &found, use, context);
}
