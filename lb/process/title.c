// SPDX-License-Identifier: MIT
// Process titles on Linux: /proc/PID/cmdline shows the memory that argv came in, and the strings
// of the environment follow it directly; /proc/PID/comm (15 characters) is set by prctl. Called by
// the supervisor, once for itself and in each child.
#include "process/title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "base/str.h"

static struct {
    char *begin; // of the area that may be written; NULL: not known
    size_t size;
} area;

// The end of the longest run of strings that begins at `end`, without a gap.
static char *extend(char *end, char **strings, int n)
{
    for (int i = 0; i < n && strings[i] == end; i++)
        end += strlen(strings[i]) + 1;
    return end;
}

static void move_environment(int n)
{
    char **copy = xcalloc((size_t)n + 1, sizeof(*copy));
    for (int i = 0; i < n; i++)
        copy[i] = xstrdup(environ[i]);
    environ = copy; // for the life of the process
}

void title_init(int argc, char **argv)
{
    int n = 0;
    if (area.begin != NULL || argc < 1)
        return;
    while (environ[n] != NULL)
        n++;
    char *end = extend(argv[0], argv, argc);
    end = extend(end, environ, n);
    move_environment(n);
    area.begin = argv[0];
    area.size = (size_t)(end - argv[0]);
}

void title_set(const char *title)
{
    (void)prctl(PR_SET_NAME, title, 0L, 0L, 0L);
    if (area.begin == NULL || area.size < 2)
        return;
    memset(area.begin, 0, area.size);
    (void)str_copy(str_of(title), area.begin, area.size);
}
