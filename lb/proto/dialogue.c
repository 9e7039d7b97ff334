// SPDX-License-Identifier: MIT
// What the dialogues of health checks share: how a reason is put into words. Pure; called by
// dialogue_*.c only.
// Invariant: a reason is printable ASCII, not empty, and ends with a NUL whatever a server said; it
// stands in logs, in JSON and on terminals.
#include "proto/dialogue.h"

#include <stdarg.h>

enum dialogue_step dialogue_fail(char reason[DIALOGUE_REASON], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, DIALOGUE_REASON, format, args);
    va_end(args);
    for (char *p = reason; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
    if (reason[0] == '\0') // a server's words that begin with a NUL
        str_copy(STR("refused without a reason"), reason, DIALOGUE_REASON);
    return DIALOGUE_FAILED;
}
