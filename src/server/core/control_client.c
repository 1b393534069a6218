/* The asker's side of the control socket, and what both sides share. Links without store and network. */
#include "server/core/control.h"

#include "base/cleanup.h"
#include "server/core/control_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum err control_socket_path(const char *data_dir, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int len = snprintf(out->sun_path, sizeof out->sun_path, "%s/control.sock", data_dir);
    return len < 0 || (size_t)len >= sizeof out->sun_path ? ERR_LIMIT : ERR_OK;
}

int control_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void control_send(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; /* the asker went away */
        bytes = slice_from_index(bytes, (size_t)sent);
    }
}

static bool tell_lines(struct slice answer, control_line_fn *tell, void *tell_arg)
{
    struct slice each;
    bool ok = false;
    while (slice_cut(&answer, '\n', &each)) {
        ok = answer.len == 0 && slice_eq(each, SLICE("ok"));
        if (tell && !ok)
            tell(tell_arg, each);
    }
    return ok;
}

/* Reads until the other side is done, or one answer is there when the connection goes on. */
static void read_answer(int fd, bool goes_on, struct buf *in)
{
    for (;;) {
        char *room = buf_room(in, 4096);
        ssize_t got = recv(fd, room, 4096, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        buf_wrote(in, (size_t)got);
        if (goes_on && slice_ends_nocase(buf_slice(in), SLICE("ok\n")))
            return;
    }
}

static enum err connect_to(const char *data_dir, int *out_fd)
{
    struct sockaddr_un address;
    TRY(control_socket_path(data_dir, &address));
    *out_fd = control_connect(&address);
    return *out_fd >= 0 ? ERR_OK : errno == EACCES ? ERR_DENIED : ERR_NOT_FOUND;
}

enum err control_hold(
    const char *data_dir, const char *id, control_line_fn *tell, void *tell_arg, int *out_fd)
{
    char line[128];
    int fd;
    *out_fd = -1;
    TRY(connect_to(data_dir, &fd));
    (void)snprintf(line, sizeof line, "hold %s\n", id);
    control_send(fd, slice_of(line));
    struct buf in;
    buf_init(&in, 0);
    read_answer(fd, true, &in);
    if (tell_lines(buf_slice(&in), tell, tell_arg))
        *out_fd = fd;
    else
        close(fd);
    buf_done(&in);
    return ERR_OK;
}

enum err control_ask(
    const char *data_dir, const char *line, control_line_fn *tell, void *tell_arg, bool *out_ok)
{
    autoclose int fd = -1;
    TRY(connect_to(data_dir, &fd));
    control_send(fd, slice_of(line));
    (void)shutdown(fd, SHUT_WR);
    struct buf in;
    buf_init(&in, 0);
    read_answer(fd, false, &in);
    *out_ok = tell_lines(buf_slice(&in), tell, tell_arg);
    buf_done(&in);
    return ERR_OK;
}
