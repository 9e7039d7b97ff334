// SPDX-License-Identifier: MIT
// Talking to systemd. Runs in the supervisor.
//
// Invariants: a message is one datagram and is never waited for; whatever goes wrong is no reason
// to serve worse, so nothing here fails; descriptors that were handed over are close-on-exec from
// the first moment on.
#include "process/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "base/log.h"

#define FIRST_FD 3 // where handed over descriptors begin (SD_LISTEN_FDS_START)
#define MESSAGE_BYTES 512

static struct {
    struct sockaddr_un to;
    socklen_t to_len; // 0: nobody wants to know
    int fd;
    uint32_t watchdog_ms;
    int n_activated; // descriptors FIRST_FD .. FIRST_FD + n - 1; taken ones are marked
    bool *taken;
} notify = {.fd = -1};

// ---- the environment --------------------------------------------------------------------------

static uint64_t env_number(const char *name)
{
    const char *text = getenv(name);
    uint64_t n = 0;
    if (text == NULL || !str_to_u64(str_of(text), &n))
        n = 0;
    return n;
}

// $LISTEN_PID and $WATCHDOG_PID say for whom it is meant; a shell in between inherits them.
static bool is_for_us(const char *name, bool when_unset)
{
    return getenv(name) == NULL ? when_unset : env_number(name) == (uint64_t)getpid();
}

static void find_socket(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path != NULL ? strlen(path) : 0;
    if (len < 2 || len >= sizeof(notify.to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    notify.to.sun_family = AF_UNIX;
    memcpy(notify.to.sun_path, path, len);
    if (path[0] == '@') // abstract
        notify.to.sun_path[0] = '\0';
    notify.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify.fd < 0)
        notify.to_len = 0;
}

static void find_activated(void)
{
    uint64_t n = env_number("LISTEN_FDS");
    if (n == 0 || n > 65536 || !is_for_us("LISTEN_PID", false))
        return;
    notify.n_activated = (int)n;
    notify.taken = xcalloc((size_t)n, sizeof(*notify.taken));
    for (int i = 0; i < notify.n_activated; i++)
        (void)fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
}

void notify_init(void)
{
    static const char *const ours[] = {"NOTIFY_SOCKET",  "LISTEN_FDS",   "LISTEN_PID",
                                       "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"};
    find_socket();
    find_activated();
    if (notify.to_len > 0 && is_for_us("WATCHDOG_PID", true))
        notify.watchdog_ms = (uint32_t)MIN_OF(env_number("WATCHDOG_USEC") / 2000, 3600000u);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        (void)unsetenv(ours[i]);
}

bool notify_is_on(void)
{
    return notify.to_len > 0;
}

void notify_environment(void)
{
    char path[sizeof(notify.to.sun_path) + 1] = "";
    size_t len = notify.to_len > 0 ? notify.to_len - offsetof(struct sockaddr_un, sun_path) : 0;
    if (len == 0)
        return;
    memcpy(path, notify.to.sun_path, len);
    if (path[0] == '\0')
        path[0] = '@';
    (void)setenv("NOTIFY_SOCKET", path, 1);
    if (notify.watchdog_ms > 0) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)notify.watchdog_ms * 2000);
        (void)setenv("WATCHDOG_USEC", text, 1);
    }
}

// ---- messages ---------------------------------------------------------------------------------

static void say(const char *text)
{
    const struct sockaddr *to = (const struct sockaddr *)&notify.to;
    if (notify.to_len > 0 &&
        sendto(notify.fd, text, strlen(text), MSG_NOSIGNAL, to, notify.to_len) < 0)
        log_debug("systemd does not listen: %s", strerror(errno));
}

static void say_line(const char *fmt, ...) PRINTF_LIKE(1, 2);

static void say_line(const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    say(text);
}

void notify_ready(void)
{
    say("READY=1\n");
}

void notify_reloading(uint64_t monotonic_us)
{
    say_line("RELOADING=1\nMONOTONIC_USEC=%llu\n", (unsigned long long)monotonic_us);
}

void notify_stopping(void)
{
    say("STOPPING=1\n");
}

void notify_status(const char *fmt, ...)
{
    char line[MESSAGE_BYTES - 16];
    va_list args;
    if (notify.to_len == 0)
        return;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    say_line("STATUS=%s\n", line);
}

void notify_extend_ms(uint32_t ms)
{
    say_line("EXTEND_TIMEOUT_USEC=%llu\n", (unsigned long long)ms * 1000);
}

void notify_main_pid(int32_t pid)
{
    say_line("MAINPID=%d\n", (int)pid);
}

uint32_t notify_watchdog_ms(void)
{
    return notify.watchdog_ms;
}

void notify_alive(void)
{
    say("WATCHDOG=1\n");
}

// ---- sockets that were handed over ------------------------------------------------------------

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t len = sizeof(listening);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

static bool is_at(int i, const struct addr *addr)
{
    struct addr bound = {.len = sizeof(bound.un)};
    int fd = FIRST_FD + i;
    return !notify.taken[i] && is_listening(fd) && getsockname(fd, &bound.sa, &bound.len) == 0 &&
           addr_eq(&bound, addr);
}

// The place of one that is bound to this address and was not taken; -1: none.
static int find_activated_at(const struct addr *addr)
{
    for (int i = 0; i < notify.n_activated; i++) {
        if (is_at(i, addr))
            return i;
    }
    return -1;
}

uint32_t activation_count(const struct addr *addr)
{
    uint32_t n = 0;
    for (int i = 0; i < notify.n_activated; i++)
        n += is_at(i, addr);
    return n;
}

bool activation_has(const struct addr *addr)
{
    return find_activated_at(addr) >= 0;
}

int activation_take(const struct addr *addr)
{
    int i = find_activated_at(addr);
    if (i < 0)
        return -1;
    int fd = FIRST_FD + i, flags = fcntl(fd, F_GETFL);
    notify.taken[i] = true;
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return fd;
}

uint32_t activation_close_rest(void)
{
    uint32_t closed = 0;
    for (int i = 0; i < notify.n_activated; i++) {
        if (notify.taken[i])
            continue;
        (void)close(FIRST_FD + i);
        closed++;
    }
    free(notify.taken);
    notify.taken = NULL;
    notify.n_activated = 0;
    return closed;
}
