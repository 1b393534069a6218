/* What the process may still do once it serves: Landlock limits the file system, seccomp forbids exec and the like (DESIGN §10). */
#ifndef SERVER_CORE_SANDBOX_H
#define SERVER_CORE_SANDBOX_H

#include "base/err.h"

/* Becomes that user and group for good. Only as root. ERR_NOT_FOUND with a note when there is no such user. */
enum err MUST_USE sandbox_become(const char *user, struct err_note *note);

/* For this thread and all it starts later: write below write_dirs, read below read_paths (and where libraries and character sets are), nothing
 * else. Kernels without Landlock: ERR_NOT_FOUND and nothing changed; the caller logs it. Lists are NULL-terminated. */
enum err MUST_USE sandbox_files(const char *const *write_dirs, const char *const *read_paths, struct err_note *note);

/* No exec, no tracing, no mounts, no new privileges; such calls fail with EPERM. */
enum err MUST_USE sandbox_calls(struct err_note *note);

#endif
