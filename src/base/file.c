/* What write(2) leaves to its callers. */
#include "base/file.h"

#include <errno.h>
#include <unistd.h>

enum err file_write(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t wrote = write(fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote == 0)
            errno = EIO;
        if (wrote <= 0)
            return err_from_errno(errno);
        bytes = slice_from_index(bytes, (size_t)wrote);
    }
    return ERR_OK;
}
