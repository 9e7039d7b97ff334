// SPDX-License-Identifier: MIT
// Durations and sizes as people write them, and back.
#ifndef EVLB_CONF_UNITS_H
#define EVLB_CONF_UNITS_H

#include "base/arena.h"
#include "base/str.h"

enum unit_result {
    UNIT_OK,
    UNIT_BARE,     // a number without a unit
    UNIT_UNKNOWN,  // a number and something that is no unit
    UNIT_SPACE,    // a space between number and unit
    UNIT_FRACTION, // 1.5s
    UNIT_BAD,      // no number at all
    UNIT_HUGE,     // does not fit in 64 bits
};

// "500ms", "5s", "2m", "1h", "1d", "1w", "1y" (365 days), "1h30m" -> milliseconds. "0" needs no
// unit.
enum unit_result duration_parse(struct str text, uint64_t *ms) MUST_CHECK;
// "512B", "16k" and "16KiB" (1024), "16kB" (1000), and M, G alike -> bytes. "0" needs no unit.
enum unit_result size_parse(struct str text, uint64_t *bytes) MUST_CHECK;
// What was probably meant by something that is not accepted: "20" (seconds; milliseconds from 1000
// on unless `seconds`; bytes), "20 s", "1.5s", "20sec", "32kb"; and, of a plain number, "10k" or
// "2M" (thousands). False: no idea.
bool duration_guess(struct str text, bool seconds, uint64_t *ms) MUST_CHECK;
bool size_guess(struct str text, uint64_t *bytes) MUST_CHECK;
bool count_guess(struct str text, uint64_t *count) MUST_CHECK;
// The shortest exact form: "5s", "1500ms", "90s".
const char *duration_text(struct arena *a, uint64_t ms);
// "32KiB", "1000B".
const char *size_text(struct arena *a, uint64_t bytes);

#endif
