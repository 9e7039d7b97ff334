// SPDX-License-Identifier: MIT
// What every file of evlb may rely on: assertions that stay on in release, a few macros, and the
// list of functions that are not to be used. Includes nothing but libc.
#ifndef EVLB_BASE_H
#define EVLB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h> // before the ban below: it declares what is banned
#include <stdlib.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

// AddressSanitizer watches: nothing may be kept that could be freed.
#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

// Checked in release builds too. Never for anything that arrives from the network or from a file.
#define lb_assert(cond)                                                                            \
    do {                                                                                           \
        if (UNLIKELY(!(cond)))                                                                     \
            lb_panic(__FILE__, __LINE__, #cond);                                                   \
    } while (0)

// Prints what failed and what this process did last (panic.h), then aborts.
void lb_panic(const char *file, int line, const char *what) NORETURN;

// malloc family that panics instead of returning NULL: for start-up and configuration only. What is
// allocated on behalf of a client uses malloc and refuses that client when it fails.
void *xmalloc(size_t size) MUST_CHECK;
void *xcalloc(size_t count, size_t size) MUST_CHECK;
void *xrealloc(void *old, size_t size) MUST_CHECK;
char *xstrdup(const char *text) MUST_CHECK;

// Unbounded, truncating or locale-dependent: these do not compile.
#pragma GCC poison sprintf vsprintf strcpy strcat strtok gets atoi atol rand strncpy

#endif
