// SPDX-License-Identifier: MIT
// What systemd is told and what it gives: states over $NOTIFY_SOCKET (sd_notify(3)), sockets that
// it has opened for us ($LISTEN_FDS, sd_listen_fds(3)), its watchdog. The protocols by hand: a few
// lines each, and no library that pulls in others. Without systemd all of it does nothing.
#ifndef EVLB_NOTIFY_H
#define EVLB_NOTIFY_H

#include "base/addr.h"

// Reads the environment and takes its variables out of it, so that no child believes that it is
// meant. Once, before the first fork.
void notify_init(void);

// Whether a service manager listens.
bool notify_is_on(void);
// Gives the next program in this process what notify_init() has taken out of the environment.
void notify_environment(void);

void notify_ready(void);                      // READY=1
void notify_reloading(uint64_t monotonic_us); // RELOADING=1; notify_ready() ends it
void notify_stopping(void);                   // STOPPING=1
// STATUS=...: one line for `systemctl status`.
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
// A stop takes longer than systemd would wait: at most so long from now.
void notify_extend_ms(uint32_t ms);
// "MAINPID=": another process of ours is the one to watch from now on (upgrade).
void notify_main_pid(int32_t pid);

// How often notify_alive() is to be called, ms; 0: no watchdog.
uint32_t notify_watchdog_ms(void);
void notify_alive(void); // WATCHDOG=1

// Whether activation_take() would find one.
bool activation_has(const struct addr *addr);
// How many it would find, one after the other.
uint32_t activation_count(const struct addr *addr);
// A listening socket that was handed over and is bound to this address; -1: none. The caller owns
// it. One address may have several (one per worker): each is given out once.
int activation_take(const struct addr *addr);
// Those that nobody took: closed. Returns how many.
uint32_t activation_close_rest(void);

#endif
