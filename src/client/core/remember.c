/* A small file, rewritten whole. Lines that are not understood are dropped: losing one costs a warning, not a login. */
#include "client/core/remember.h"

#include "base/cleanup.h"
#include "client/core/login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 16384u /* three protocols, each with the servers it ever had */

static char *path_in(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static void read_file(const char *path, struct buf *out)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *to = buf_room(out, FILE_BYTES_MAX);
    if (fd < 0 || !to)
        return;
    ssize_t got = read(fd, to, FILE_BYTES_MAX);
    if (got > 0)
        buf_wrote(out, (size_t)got);
}

/* "pop3 pop.example.org 995 " */
static char *key_of(const char *protocol, const struct client_server *server)
{
    char *key = NULL;
    if (asprintf(&key, "%s %s %d ", protocol, server->host, server->port) < 0)
        return NULL;
    return key;
}

static unsigned find(struct slice text, const char *key)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line))
        if (slice_starts(line, slice_of(key)))
            return client_mechanism_bit(slice_from_index(line, strlen(key)));
    return 0;
}

unsigned client_remembered(
    const char *state_folder, const char *protocol, const struct client_server *server)
{
    autofree char *path = path_in(state_folder, "logins"), *key = key_of(protocol, server);
    struct buf text;
    buf_init(&text, 0);
    if (path)
        read_file(path, &text);
    unsigned bit = key ? find(buf_slice(&text), key) : 0;
    buf_done(&text);
    return bit;
}

static enum err replace(const char *folder, const char *path, struct slice text)
{
    autofree char *fresh = path_in(folder, "logins.new");
    if (!fresh)
        return ERR_IO;
    (void)unlink(fresh);
    autoclose int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) < 0 ||
        rename(fresh, path) < 0)
        return err_from_errno(errno);
    return ERR_OK;
}

enum err client_remember(const char *state_folder, const char *protocol,
    const struct client_server *server, unsigned mechanism, struct err_note *note)
{
    autofree char *path = path_in(state_folder, "logins"), *key = key_of(protocol, server);
    const char *name = client_mechanism_name(mechanism);
    if (!path || !key || !name)
        return ERR_IO;
    struct buf text, fresh;
    struct slice line;
    enum err e = ERR_OK;
    buf_init(&text, 0);
    buf_init(&fresh, FILE_BYTES_MAX);
    read_file(path, &text);
    if (find(buf_slice(&text), key) != mechanism) {
        buf_addf(&fresh, "%s%s\n", key, name);
        struct slice rest = buf_slice(&text);
        while (slice_cut(&rest, '\n', &line))
            if (!slice_starts(line, slice_of(key)) && line.len > 0 &&
                buf_len(&fresh) + line.len + 1 < FILE_BYTES_MAX)
                buf_addf(&fresh, "%.*s\n", SLICE_FMT(line));
        e = replace(state_folder, path, buf_slice(&fresh));
        if (e)
            (void)err_noted(note, e, "%s cannot be written: %s", path, strerror(errno));
    }
    buf_done(&text);
    buf_done(&fresh);
    return e;
}
