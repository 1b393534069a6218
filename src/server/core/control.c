/* The control socket. The thread waits in poll on the socket and on a pipe that ends it; a request is read with a deadline, so a stuck
 * asker cannot hold it for long. An account that is held stays so while its asker's connection lives. */
#include "server/core/control.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "deliver/outbox.h"
#include "server/core/control_int.h"
#include "server/core/devices.h"
#include "server/core/expire.h"
#include "server/core/facts.h"
#include "server/core/server_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX   2048 /* a mailbox name fits */
#define HOLDS_MAX           4
#define REQUEST_DEADLINE_MS 5000
#define REMOVE_WAIT_MS      5000 /* how long user-removed waits for the user's sessions to end */

struct held {
    int fd; /* owned */
    struct store_hold *hold;
};

struct control {
    struct held held[HOLDS_MAX];
    size_t held_count;
    struct server *server;
    int fd;
    int end_pipe[2];
    pthread_t thread;
    bool started;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

enum err control_new(struct server *server, const char *data_dir, struct control **out_control,
    struct err_note *note)
{
    struct sockaddr_un address;
    if (control_socket_path(data_dir, &address) != ERR_OK)
        return err_noted(
            note, ERR_LIMIT, "the path of the data folder is too long for a socket: %s", data_dir);
    int live = control_connect(&address);
    if (live >= 0) {
        close(live);
        return err_noted(note, ERR_BUSY, "a server already runs on %s", data_dir);
    }
    struct stat st;
    if (lstat(address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                 listen(fd, 16) == 0;
    int problem = errno;
    umask(before);
    struct control *control = mem_zalloc(1, sizeof *control);
    if (!bound || pipe2(control->end_pipe, O_CLOEXEC) != 0) {
        if (fd >= 0)
            close(fd);
        free(control);
        return err_noted(
            note, err_from_errno(problem), "%s: %s", address.sun_path, strerror(problem));
    }
    control->server = server;
    control->fd = fd;
    memcpy(control->path, address.sun_path, sizeof control->path);
    *out_control = control;
    return ERR_OK;
}

/* ---- requests ---- */

static void write_status(struct server *server, bool json, struct buf *out)
{
    struct net_stats net = net_stats(server->net);
    struct store_stats store = store_stats(server->store);
    const struct {
        const char *name;
        unsigned long long value;
    } rows[] = {
        { "uptime_s", (unsigned long long)(clock_wall_s() - server->started_s) },
        { "connections", net.open },
        { "connections_accepted", net.accepted },
        { "connections_refused", net.refused },
        { "tls_failed", net.tls_failed },
        { "sessions_imap", server_sessions(server, PROTOCOL_IMAP) },
        { "sessions_pop3", server_sessions(server, PROTOCOL_POP3) },
        { "sessions_submission", server_sessions(server, PROTOCOL_SUBMISSION) },
        { "logins", atomic_load(&server->counters.logins) },
        { "logins_failed", atomic_load(&server->counters.logins_failed) },
        { "messages_in", atomic_load(&server->counters.messages_in) },
        { "messages_delivered", atomic_load(&server->counters.messages_delivered) },
        { "messages_submitted", atomic_load(&server->counters.messages_submitted) },
        { "messages_refused", atomic_load(&server->counters.messages_refused) },
        { "accounts_open", store.accounts_open },
        { "store_requests", store.requests },
        { "store_commits", store.commits },
        { "store_checkpoints", store.checkpoints },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (json)
            buf_addf(out, "%s\"%s\":%llu", i ? "," : "{", rows[i].name, rows[i].value);
        else
            buf_addf(out, "%-22s %llu\n", rows[i].name, rows[i].value);
    }
    if (json)
        buf_adds(out, "}\n");
}

static void on_finding(void *tell_arg, const char *text, bool repaired)
{
    struct buf *out = tell_arg;
    buf_addf(out, "%s %s\n", repaired ? "repaired" : "found", text);
}

static enum err check_account(struct server *server, struct slice id, bool repair, struct buf *out)
{
    enum err e = store_fsck(server->store, id, repair, on_finding, out);
    return e == ERR_NOT_FOUND ? ERR_OK : e; /* no mail yet: the folder comes with the first */
}

static enum err rebuild_account(struct server *server, struct slice id, struct buf *out)
{
    uint64_t changed = 0;
    enum err e = store_rebuild(server->store, id, &changed);
    if (e == ERR_OK)
        buf_addf(out, "rebuilt %llu\n", (unsigned long long)changed);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err remove_account(struct server *server, struct slice id)
{
    int64_t until = clock_mono_ms() + REMOVE_WAIT_MS;
    for (;;) {
        (void)server_end_sessions(server, id);
        enum err e = store_account_remove(server->store, id);
        if (e != ERR_BUSY || clock_mono_ms() > until)
            return e == ERR_NOT_FOUND ? ERR_OK : e; /* never logged in: there is no folder yet */
        (void)poll(NULL, 0, 20);
    }
}

static enum err replace_account(
    struct server *server, struct slice id, const struct store_restore_args *args)
{
    TRY(store_replace_prepare(server->store, id, args));
    int64_t until = clock_mono_ms() + REMOVE_WAIT_MS;
    for (;;) {
        (void)server_end_sessions(server, id);
        enum err e = store_replace(server->store, id, args->folder);
        if (e != ERR_BUSY || clock_mono_ms() > until)
            return e;
        (void)poll(NULL, 0, 20);
    }
}

static enum err add_to_account(
    struct server *server, struct slice id, const struct store_restore_args *args, struct buf *out)
{
    struct store_restore_result result;
    enum err e = store_restore(server->store, id, args, &result);
    buf_addf(out, "added %llu\nthere %llu\ndamaged %llu\nuidls %llu\nuidls-lost %llu\n",
        (unsigned long long)result.added, (unsigned long long)result.there,
        (unsigned long long)result.damaged, (unsigned long long)result.uidls,
        (unsigned long long)result.uidls_lost);
    return e;
}

/* FOLDER FROM-ID replace | add UID MAILBOX; the folder's name is one in incoming/. */
static enum err restore_account(
    struct server *server, struct slice id, struct slice line, struct buf *out)
{
    struct slice folder, how;
    struct store_restore_args args = { 0 };
    char path[96];
    if (!slice_cut(&line, ' ', &folder) || !slice_cut(&line, ' ', &args.from_id) ||
        !slice_starts(folder, SLICE("incoming/")) || folder.len >= sizeof path ||
        slice_index(slice_from_index(folder, 9), '/') != folder.len - 9)
        return ERR_SYNTAX;
    (void)snprintf(path, sizeof path, "%.*s", SLICE_FMT(folder));
    args.folder = path;
    bool more = slice_cut(&line, ' ', &how);
    enum err e = ERR_SYNTAX;
    if (slice_eq(how, SLICE("replace"))) {
        e = replace_account(server, id, &args);
    } else if (more && slice_eq(how, SLICE("add"))) {
        struct slice uid;
        uint64_t number;
        (void)slice_cut(&line, ' ', &uid);
        args.mailbox = line;
        TRY(slice_to_u64(uid, UINT32_MAX, &number));
        args.uid = (uint32_t)number;
        e = add_to_account(server, id, &args, out);
    }
    if (e == ERR_OK && outbox_mark(server->outbox, id) == ERR_OK)
        outbox_wake(server->outbox, id); /* what waited in the copy waits again */
    return e;
}

static enum err end_device(struct server *server, struct slice id, struct slice device)
{
    uint64_t number;
    TRY(slice_to_u64(device, INT64_MAX, &number));
    (void)server_end_device(server, id, (int64_t)number);
    return ERR_OK;
}

static enum err tell_facts(struct server *server, struct slice id, struct buf *out)
{
    struct mailbox_facts facts;
    struct arena arena;
    (void)devices_write(server->devices); /* the asker reads them in directory.db */
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = facts_of_user(server->store, server->directory, id, &arena, &facts);
    if (e == ERR_OK)
        facts_write(&facts, out);
    arena_done(&arena);
    return e;
}

static enum err expire_now(struct server *server, struct buf *out)
{
    size_t removed;
    enum err e = expire_pass(server->expire, true, &removed);
    buf_addf(out, "removed %zu\n", removed);
    return e;
}

static enum err answer(struct server *server, struct slice line, struct buf *out)
{
    struct slice word, id, mode;
    struct err_note note = { "" };
    if (!slice_cut(&line, ' ', &word))
        return ERR_SYNTAX;
    if (slice_eq(word, SLICE("status"))) {
        write_status(server, false, out);
        return ERR_OK;
    }
    if (slice_eq(word, SLICE("status-json"))) {
        write_status(server, true, out);
        return ERR_OK;
    }
    if (slice_eq(word, SLICE("reload"))) {
        enum err e = server_reload(server, &note);
        if (note.text[0])
            buf_addf(out, "%s\n", note.text);
        return e;
    }
    if (slice_eq(word, SLICE("write-devices")))
        return devices_write(server->devices);
    if (slice_eq(word, SLICE("expire")))
        return expire_now(server, out);
    if (!slice_cut(&line, ' ', &id) || id.len > USER_ID_BYTES)
        return ERR_SYNTAX;
    if (slice_eq(word, SLICE("user-changed"))) {
        (void)server_end_sessions(server, id);
        return ERR_OK;
    }
    if (slice_eq(word, SLICE("user-removed")))
        return remove_account(server, id);
    if (slice_eq(word, SLICE("mailbox-facts")))
        return tell_facts(server, id, out);
    if (slice_eq(word, SLICE("device-revoked")))
        return end_device(server, id, line);
    if (slice_eq(word, SLICE("restore")))
        return restore_account(server, id, line, out);
    if (slice_eq(word, SLICE("rebuild")))
        return rebuild_account(server, id, out);
    if (slice_eq(word, SLICE("fsck")) && slice_cut(&line, ' ', &mode))
        return check_account(server, id, slice_eq(mode, SLICE("repair")), out);
    return ERR_SYNTAX;
}

/* True when the connection, and the account with it, is kept. */
static bool serve_hold(struct control *control, int fd, struct slice id)
{
    struct store_hold_state state;
    struct store_hold *hold = NULL;
    enum err e = control->held_count == HOLDS_MAX
                     ? ERR_BUSY
                     : store_hold(control->server->store, id, &state, &hold);
    log_info("control.hold", "user=%s result=%s", LOG_S(id), err_name(e));
    char text[64];
    if (e == ERR_OK)
        (void)snprintf(text, sizeof text, "modseq %llu\nok\n", (unsigned long long)state.modseq);
    else
        (void)snprintf(text, sizeof text, "failed: %s\n", err_name(e));
    control_send(fd, slice_of(text));
    if (e == ERR_OK)
        control->held[control->held_count++] = (struct held){ .fd = fd, .hold = hold };
    return e == ERR_OK;
}

static void release(struct control *control, size_t index)
{
    close(control->held[index].fd); /* first: who still sees it open has files that stood still */
    store_release(control->held[index].hold);
    control->held[index] = control->held[--control->held_count];
}

/* True when the connection is kept. */
static bool serve_one(struct control *control, int fd)
{
    struct timeval limit = { .tv_sec = REQUEST_DEADLINE_MS / 1000 };
    char request[REQUEST_BYTES_MAX];
    size_t len = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    while (len < sizeof request && (len == 0 || request[len - 1] != '\n')) {
        ssize_t got = recv(fd, request + len, sizeof request - len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        len += (size_t)got;
    }
    struct slice line = slice_trim(slice_from(request, len));
    if (slice_starts(line, SLICE("hold ")))
        return serve_hold(control, fd, slice_from_index(line, 5));
    struct buf out;
    buf_init(&out, 0);
    enum err e = answer(control->server, line, &out);
    log_info("control.request", "line=%s result=%s", LOG_S(line), err_name(e));
    if (e == ERR_OK)
        buf_adds(&out, "ok\n");
    else
        buf_addf(&out, "failed: %s\n", err_name(e));
    control_send(fd, buf_slice(&out));
    buf_done(&out);
    return false;
}

static void *run(void *control_arg)
{
    struct control *control = control_arg;
    struct pollfd wait[2 + HOLDS_MAX] = { { .fd = control->fd, .events = POLLIN },
        { .fd = control->end_pipe[0], .events = POLLIN } };
    for (;;) {
        size_t held = control->held_count;
        for (size_t i = 0; i < held; i++)
            wait[2 + i] = (struct pollfd){ .fd = control->held[i].fd, .events = POLLIN };
        if (poll(wait, 2 + held, -1) < 0) {
            if (errno != EINTR)
                break;
            continue;
        }
        if (wait[1].revents)
            break;
        for (size_t i = held; i-- > 0;)
            if (wait[2 + i].revents)
                release(control, i);
        if (!(wait[0].revents & POLLIN))
            continue;
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
            (void)poll(&wait[1], 1, 200); /* no descriptor left: do not spin */
        else if (fd >= 0 && !serve_one(control, fd))
            close(fd);
    }
    while (control->held_count > 0)
        release(control, 0);
    return NULL;
}

enum err control_start(struct control *control)
{
    int problem = pthread_create(&control->thread, NULL, run, control);
    if (problem != 0)
        return err_from_errno(problem);
    control->started = true;
    return ERR_OK;
}

void control_free(struct control *control)
{
    if (!control)
        return;
    close(control->end_pipe[1]);
    if (control->started)
        pthread_join(control->thread, NULL);
    close(control->end_pipe[0]);
    close(control->fd);
    (void)unlink(control->path);
    free(control);
}
