// SPDX-License-Identifier: MIT
// Giving up root. The supervisor resolves the names before it forks (a bad name must stop the
// start, not each child); every child calls privileges_drop() before it touches a byte of traffic.
// The supervisor itself keeps what it was started with: it needs that to replace children that are
// to become somebody else.
//
// A process that gave up root is not dumpable any more (the kernel does that on the change of
// user): no core file, and no ptrace by other processes of the same user, so that keys stay in.
// Sanitizer builds turn it on again, because the leak check needs to look at its own process.
#include "process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/sanitizer.h"

// ---- names ------------------------------------------------------------------------------------

static bool name_of(struct str text, char out[128])
{
    return str_copy(text, out, 128);
}

static bool find_user(struct str user, struct privileges *out)
{
    char name[128];
    uint64_t id;
    const struct passwd *entry;
    if (str_to_u64(user, &id) && id < UINT32_MAX) {
        entry = getpwuid((uid_t)id);
        out->uid = (uid_t)id;
        out->gid = entry != NULL ? entry->pw_gid : (gid_t)id;
        return true;
    }
    entry = name_of(user, name) ? getpwnam(name) : NULL;
    if (entry == NULL)
        return false;
    out->uid = entry->pw_uid;
    out->gid = entry->pw_gid;
    return true;
}

static bool find_group(struct str group, struct privileges *out)
{
    char name[128];
    uint64_t id;
    if (str_to_u64(group, &id) && id < UINT32_MAX) {
        out->gid = (gid_t)id;
        return true;
    }
    const struct group *entry = name_of(group, name) ? getgrnam(name) : NULL;
    if (entry == NULL)
        return false;
    out->gid = entry->gr_gid;
    return true;
}

enum privileges_result privileges_resolve(struct str user, struct str group, struct privileges *out,
                                          char *why, size_t why_size)
{
    *out = (struct privileges){.uid = geteuid(), .gid = getegid()};
    if (user.len == 0 && group.len == 0)
        return PRIVILEGES_OK;
    if (user.len > 0 && !find_user(user, out)) {
        (void)snprintf(why, why_size, "there is no user '%.*s'", STR_FMT(user));
        return PRIVILEGES_UNKNOWN;
    }
    if (group.len > 0 && !find_group(group, out)) {
        (void)snprintf(why, why_size, "there is no group '%.*s'", STR_FMT(group));
        return PRIVILEGES_UNKNOWN;
    }
    if (out->uid == geteuid() && out->gid == getegid())
        return PRIVILEGES_OK;
    if (geteuid() != 0) {
        (void)snprintf(why, why_size,
                       "not started as root: cannot become user %u, group %u; staying user %u",
                       (unsigned)out->uid, (unsigned)out->gid, (unsigned)geteuid());
        return PRIVILEGES_IGNORED;
    }
    out->change = true;
    return PRIVILEGES_OK;
}

// ---- dropping ---------------------------------------------------------------------------------

static int result_of(long returned)
{
    return returned < 0 ? -errno : 0;
}

static int change_user(const struct privileges *p)
{
    int error = result_of(setgroups(0, NULL));
    if (error == 0)
        error = result_of(setresgid(p->gid, p->gid, p->gid));
    if (error == 0)
        error = result_of(setresuid(p->uid, p->uid, p->uid));
    if (error == 0 && p->uid != 0 && setresuid(0, 0, 0) == 0)
        error = -EPERM; // the way back must be shut
    return error;
}

// Started as an ordinary user, we may hold capabilities (to bind port 80): children need none.
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L); // none to clear: an error
    return result_of(syscall(SYS_capset, &header, none));
}

int privileges_drop(const struct privileges *p)
{
    int error = p->change ? change_user(p) : 0;
    if (error == 0 && geteuid() != 0)
        error = drop_capabilities();
    if (error == 0)
        error = result_of(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L));
#if EVLB_SANITIZER
    if (error == 0)
        error = result_of(prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L));
#endif
    return error;
}
