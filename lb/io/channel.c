// SPDX-License-Identifier: MIT
// Packets between the processes. Used by the supervisor and by all of its children. What is large
// (configurations, texts) travels as a sealed memfd beside the packet, so that no packet can be too
// large for the socket and no reader can see it change.
// Invariants: a packet of the wrong size is an error of ours and never half read; a descriptor that
// was received is either handed to the caller or closed; a receiver without room for descriptors
// still gets the packet, which the kernel would not give it again.
#include "io/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// Without all of them the other side could change or shorten what is mapped here.
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

union control_bytes {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

int channel_send(int fd, const struct message *m, const int *fds)
{
    union control_bytes control;
    struct message copy = *m;
    struct iovec iov = {&copy, sizeof(copy)};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    lb_assert(m->n_fds <= CHANNEL_FDS_MAX);
    if (m->n_fds > 0) {
        memset(&control, 0, sizeof(control));
        h.msg_control = control.bytes;
        h.msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(m->n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, m->n_fds * sizeof(int));
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &h, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

// Returns how many descriptors came.
static uint32_t take_fds(struct msghdr *h, int fds[CHANNEL_FDS_MAX])
{
    uint32_t n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    }
    return n;
}

int channel_receive(int fd, struct message *m, int fds[CHANNEL_FDS_MAX])
{
    union control_bytes control;
    struct iovec iov = {m, sizeof(*m)};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    uint32_t n_fds = take_fds(&h, fds);
    if (n == (ssize_t)sizeof(*m) && m->n_fds == n_fds)
        return 1;
    for (uint32_t i = 0; i < n_fds; i++)
        (void)close(fds[i]);
    m->n_fds = 0;
    return n == 0 ? -EPIPE : n == (ssize_t)sizeof(*m) ? -EMFILE : -EPROTO;
}

int channel_text(struct str text)
{
    int fd = memfd_create("evlb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    for (size_t at = 0; at < text.len;) {
        ssize_t n = write(fd, text.p + at, text.len - at);
        if (n < 0) {
            int error = errno;
            (void)close(fd);
            return -error;
        }
        at += (size_t)n;
    }
    (void)fcntl(fd, F_ADD_SEALS, SEALS);
    return fd;
}

bool channel_text_map(int fd, struct str *text)
{
    return channel_text_map_most(fd, SIZE_MAX, text);
}

bool channel_text_map_most(int fd, size_t most, struct str *text)
{
    struct stat st;
    void *p = NULL;
    int seals = fcntl(fd, F_GET_SEALS); // -1: no memfd
    bool sealed = seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0;
    bool fits = sealed && (size_t)st.st_size <= most;
    if (fits && st.st_size > 0)
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (!fits || p == MAP_FAILED)
        return false;
    *text = (struct str){p != NULL ? p : "", (size_t)st.st_size};
    return true;
}

void channel_text_done(struct str text)
{
    if (text.len > 0)
        (void)munmap((void *)(uintptr_t)text.p, text.len);
}
