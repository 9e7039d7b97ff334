// SPDX-License-Identifier: MIT
// The operational log: one line per event, "time level process message". Where a line goes is
// decided by the process: standard error in the supervisor and in commands, the log ring in
// children (process/logger.h), so that no child ever waits for a reader.
#ifndef EVLB_LOG_H
#define EVLB_LOG_H

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

// Takes one whole line, newline included. Must not block in a worker.
typedef void log_sink(void *ctx, const char *line, size_t len);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
// NULL sink: standard error. `process` ("worker 0") stands in every line and must outlive it.
void log_set_sink(log_sink *sink, void *ctx);
void log_set_process(const char *process);

void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_get_level() >= LOG_DEBUG)                                                          \
            log_line(LOG_DEBUG, __VA_ARGS__);                                                      \
    } while (0)

#endif
