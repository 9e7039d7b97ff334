// SPDX-License-Identifier: MIT
// Readers and writers of durations and sizes. Pure. Called by bind.c for values, by the emitters
// for defaults and limits. A bare number is never guessed at: 5 what?
#include "conf/units.h"

struct unit {
    const char *name;
    uint64_t factor;
};

// Largest first, as the writers want them.
// clang-format off
static const struct unit durations[] = {
    {"y", 365 * 86400000ull}, {"w", 7 * 86400000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit sizes[] = {
    {"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1},
    {"g", 1u << 30}, {"m", 1u << 20}, {"k", 1u << 10},
    {"G", 1u << 30}, {"M", 1u << 20}, {"K", 1u << 10},
    {"GB", 1000000000}, {"MB", 1000000}, {"kB", 1000},
};
// clang-format on

// What people write instead; for suggestions only.
// clang-format off
static const struct unit loose_durations[] = {
    {"", 1000}, {"ms", 1}, {"msec", 1}, {"millis", 1}, {"milliseconds", 1}, {"s", 1000},
    {"sec", 1000}, {"secs", 1000}, {"second", 1000}, {"seconds", 1000}, {"m", 60000},
    {"min", 60000}, {"mins", 60000}, {"minute", 60000}, {"minutes", 60000}, {"h", 3600000},
    {"hr", 3600000}, {"hour", 3600000}, {"hours", 3600000}, {"d", 86400000}, {"day", 86400000},
    {"days", 86400000}, {"w", 7 * 86400000}, {"week", 7 * 86400000}, {"weeks", 7 * 86400000},
    {"y", 365 * 86400000ull}, {"yr", 365 * 86400000ull}, {"year", 365 * 86400000ull},
    {"years", 365 * 86400000ull},
};
static const struct unit loose_sizes[] = {
    {"", 1}, {"b", 1}, {"byte", 1}, {"bytes", 1}, {"k", 1u << 10}, {"kb", 1u << 10},
    {"kib", 1u << 10}, {"m", 1u << 20}, {"mb", 1u << 20}, {"mib", 1u << 20}, {"g", 1u << 30},
    {"gb", 1u << 30}, {"gib", 1u << 30},
};
static const struct unit loose_counts[] = {
    {"k", 1000}, {"ki", 1024}, {"m", 1000000}, {"mi", 1u << 20},
};
// clang-format on

static const struct unit *unit_find(const struct unit *units, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(str_of(units[i].name), name))
            return &units[i];
    }
    return NULL;
}

static size_t count_digits(struct str s)
{
    size_t n = 0;
    while (n < s.len && is_digit(s.p[n]))
        n++;
    return n;
}

// Cuts "90s" off "90s30ms": the number into *value, the letters behind it into *name.
static enum unit_result cut_part(struct str *s, uint64_t *value, struct str *name)
{
    size_t digits = count_digits(*s), end = digits;
    if (digits == 0)
        return UNIT_BAD;
    if (!str_to_u64((struct str){s->p, digits}, value))
        return UNIT_HUGE;
    if (digits == s->len)
        return UNIT_BARE;
    if (s->p[digits] == ' ')
        return UNIT_SPACE;
    if (s->p[digits] == '.')
        return UNIT_FRACTION;
    while (end < s->len && !is_digit(s->p[end]))
        end++;
    *name = (struct str){s->p + digits, end - digits};
    *s = (struct str){s->p + end, s->len - end};
    return UNIT_OK;
}

// `parts`: whether "1h30m" is allowed; then the units must become smaller.
static enum unit_result parse(struct str s, const struct unit *units, size_t n, bool parts,
                              uint64_t *out)
{
    uint64_t total = 0, last = UINT64_MAX;
    if (str_eq(s, STR("0"))) {
        *out = 0;
        return UNIT_OK;
    }
    do {
        uint64_t value;
        struct str name;
        enum unit_result r = cut_part(&s, &value, &name);
        if (r != UNIT_OK)
            return r;
        const struct unit *u = unit_find(units, n, name);
        if (u == NULL || u->factor >= last || (!parts && s.len > 0))
            return UNIT_UNKNOWN;
        last = u->factor;
        if (__builtin_mul_overflow(value, u->factor, &value) ||
            __builtin_add_overflow(total, value, &total))
            return UNIT_HUGE;
    } while (s.len > 0);
    *out = total;
    return UNIT_OK;
}

enum unit_result duration_parse(struct str text, uint64_t *ms)
{
    return parse(text, durations, ARRAY_LEN(durations), true, ms);
}

enum unit_result size_parse(struct str text, uint64_t *bytes)
{
    return parse(text, sizes, ARRAY_LEN(sizes), false, bytes);
}

static bool guess(struct str s, const struct unit *units, size_t n, uint64_t *out)
{
    size_t digits = count_digits(s);
    struct str rest = {s.p + digits, s.len - digits};
    uint64_t whole, tenths = 0;
    if (!str_to_u64((struct str){s.p, digits}, &whole) || whole > 1000000000)
        return false;
    if (rest.len > 1 && rest.p[0] == '.' && is_digit(rest.p[1])) {
        tenths = (uint64_t)(rest.p[1] - '0');
        rest = (struct str){rest.p + 2, rest.len - 2};
    }
    rest = str_trim(rest);
    for (size_t i = 0; i < n; i++) {
        if (!str_caseeq(rest, str_of(units[i].name)))
            continue;
        *out = whole * units[i].factor + tenths * units[i].factor / 10;
        return *out > 0;
    }
    return false;
}

bool duration_guess(struct str text, bool seconds, uint64_t *ms)
{
    uint64_t bare;
    if (!seconds && str_to_u64(text, &bare) && bare >= 1000 && bare <= 1000000000) {
        *ms = bare; // as other programs count
        return true;
    }
    return guess(text, loose_durations, ARRAY_LEN(loose_durations), ms);
}

bool count_guess(struct str text, uint64_t *count)
{
    return guess(text, loose_counts, ARRAY_LEN(loose_counts), count);
}

bool size_guess(struct str text, uint64_t *bytes)
{
    return guess(text, loose_sizes, ARRAY_LEN(loose_sizes), bytes);
}

const char *duration_text(struct arena *a, uint64_t ms)
{
    const struct unit *u = durations;
    while (u->factor > 1 && (ms == 0 || ms % u->factor != 0))
        u++;
    return ms == 0 ? "0" : arena_printf(a, "%llu%s", (unsigned long long)(ms / u->factor), u->name);
}

const char *size_text(struct arena *a, uint64_t bytes)
{
    const struct unit *u = sizes;
    while (u->factor > 1 && (bytes == 0 || bytes % u->factor != 0))
        u++;
    return bytes == 0 ? "0"
                      : arena_printf(a, "%llu%s", (unsigned long long)(bytes / u->factor), u->name);
}
