// SPDX-License-Identifier: MIT
// Operational log of every process. The same message repeated is folded: after the first line only
// "repeated N times" follows when another message comes or a minute has passed, so that a fault
// that hits every request cannot fill a disk.
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define LINE_BYTES 1024
#define FOLD_SECONDS 60

static struct {
    enum log_level level;
    log_sink *sink;
    void *ctx;
    const char *process;
    char last[LINE_BYTES]; // the last message, without its time
    unsigned repeated;
    time_t first_repeat;
} state = {.level = LOG_INFO, .process = "evlb"};

void log_set_level(enum log_level level)
{
    state.level = level;
}

enum log_level log_get_level(void)
{
    return state.level;
}

void log_set_sink(log_sink *sink, void *ctx)
{
    state.sink = sink;
    state.ctx = ctx;
}

void log_set_process(const char *process)
{
    state.process = process;
}

static void emit(enum log_level level, time_t now, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char line[LINE_BYTES + 96], when[32];
    struct tm tm;
    gmtime_r(&now, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n =
        snprintf(line, sizeof(line), "%s %s %s: %s\n", when, names[level], state.process, message);
    if (n < 0)
        return;
    size_t len = MIN_OF((size_t)n, sizeof(line) - 1);
    line[len - 1] = '\n';
    if (state.sink != NULL)
        state.sink(state.ctx, line, len);
    else if (write(STDERR_FILENO, line, len) < 0)
        return; // nobody listens
}

// True when the message only adds to the count of the one before.
static bool folded(time_t now, const char *message)
{
    bool same = strcmp(message, state.last) == 0;
    if (same && state.repeated == 0)
        state.first_repeat = now;
    if (same && now - state.first_repeat < FOLD_SECONDS) {
        state.repeated++;
        return true;
    }
    if (state.repeated > 0) {
        char text[64];
        (void)snprintf(text, sizeof(text), "the last message was repeated %u times",
                       state.repeated);
        emit(LOG_INFO, now, text);
        state.repeated = 0;
    }
    (void)str_copy(str_of(message), state.last, sizeof(state.last));
    return false;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char message[LINE_BYTES];
    if (level > state.level)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (n < 0)
        return;
    for (char *c = message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?'; // nothing that a peer said may start a line of its own
    }
    time_t now = time(NULL);
    if (!folded(now, message))
        emit(level, now, message);
}
