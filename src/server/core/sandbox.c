/* Confinement. Order matters: become the user, then files, then calls; each step takes away what the former needed. */
#include "server/core/sandbox.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum err sandbox_become(const char *user, struct err_note *note)
{
    errno = 0;
    struct passwd *pw = getpwnam(user);
    if (!pw)
        return err_noted(note, ERR_NOT_FOUND,
            "there is no system user \"%s\" (server.user); make it with: useradd --system "
            "--no-create-home %s",
            user, user);
    if (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
        return err_noted(
            note, ERR_DENIED, "cannot become the user \"%s\": %s", user, strerror(errno));
    if (setuid(0) == 0)
        return err_noted(note, ERR_DENIED, "root rights came back after dropping them");
    return ERR_OK;
}

/* ---- Landlock ---- */

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                               \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                 \
        LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                             \
        LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define ACCESS_OTHER                                                                               \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |    \
        LANDLOCK_ACCESS_FS_MAKE_BLOCK)
/* Linking between folders (blobs into accounts) came with the second version; without it, it is refused outright. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif

static enum err allow(int rules, const char *path, uint64_t access, struct err_note *note)
{
    autoclose int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT
                   ? ERR_OK
                   : err_noted(note, err_from_errno(errno), "%s: %s", path, strerror(errno));
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return err_noted(note, ERR_IO, "Landlock refuses a rule for %s: %s", path, strerror(errno));
    return ERR_OK;
}

enum err sandbox_files(
    const char *const *write_dirs, const char *const *read_paths, struct err_note *note)
{
    /* iconv loads its tables and the resolver its files when they are first needed */
    static const char *const system_paths[] = { "/usr/lib", "/lib", "/usr/share/zoneinfo",
        "/etc/localtime", "/etc/ssl", "/usr/share/ca-certificates", "/proc/self", "/proc/cpuinfo",
        "/dev/null", "/dev/urandom", NULL };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 2)
        return err_noted(note, ERR_NOT_FOUND,
            "this kernel has no Landlock (version %ld; 2 is needed)", version < 0 ? 0 : version);
    struct landlock_ruleset_attr attr = { .handled_access_fs = ACCESS_WRITE | ACCESS_OTHER |
                                                               LANDLOCK_ACCESS_FS_REFER };
    autoclose int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0)
        return err_noted(note, ERR_IO, "Landlock: %s", strerror(errno));
    for (int i = 0; write_dirs[i]; i++)
        TRY(allow(rules, write_dirs[i], ACCESS_WRITE | LANDLOCK_ACCESS_FS_REFER, note));
    for (int i = 0; read_paths[i]; i++)
        TRY(allow(rules, read_paths[i], ACCESS_READ, note));
    for (int i = 0; system_paths[i]; i++)
        TRY(allow(rules, system_paths[i], ACCESS_READ, note));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        return err_noted(note, ERR_IO, "Landlock: %s", strerror(errno));
    return ERR_OK;
}

/* ---- seccomp ---- */

enum err sandbox_calls(struct err_note *note)
{
    static const int forbidden[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(mount),
        SCMP_SYS(umount2),
        SCMP_SYS(pivot_root),
        SCMP_SYS(chroot),
        SCMP_SYS(setns),
        SCMP_SYS(unshare),
        SCMP_SYS(kexec_load),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(delete_module),
        SCMP_SYS(bpf),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(keyctl),
        SCMP_SYS(add_key),
        SCMP_SYS(request_key),
        SCMP_SYS(setuid),
        SCMP_SYS(setgid),
        SCMP_SYS(setreuid),
        SCMP_SYS(setregid),
        SCMP_SYS(setresuid),
        SCMP_SYS(setresgid),
        SCMP_SYS(swapon),
        SCMP_SYS(reboot),
        SCMP_SYS(fork),
        SCMP_SYS(vfork),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        SCMP_SYS(
            ptrace), /* the leak checker of a sanitizer build traces its own process at the end */
#endif
    };
    struct rlimit no_core = { 0, 0 };
    (void)setrlimit(RLIMIT_CORE, &no_core); /* passwords pass through this memory */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return err_noted(note, ERR_IO, "seccomp is not there");
    int failed = 0;
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0] && failed == 0; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    if (failed != 0)
        return err_noted(note, ERR_IO, "seccomp: %s", strerror(-failed));
    return ERR_OK;
}
