// SPDX-License-Identifier: MIT
// Whether this build checks itself (address, leak or thread sanitizer): such a process opens files,
// reads /proc and forks on its own.
#ifndef EVLB_SANITIZER_H
#define EVLB_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EVLB_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define EVLB_SANITIZER 1
#endif
#endif

#ifndef EVLB_SANITIZER
#define EVLB_SANITIZER 0
#endif

#endif
