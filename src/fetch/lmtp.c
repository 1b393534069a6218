/* Each message goes to an LMTP server of this machine (RFC 2033), for the address of the account. No server, or three 4xx in a row, end the run: later. A 5xx: it does
 * not want this one. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client/core/address.h"
#include "client/smtp/smtpc.h"
#include "fetch/drop_int.h"
#include "message/address.h"
#include "message/header.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 65536u /* in which Return-Path is looked for: it stands first */

/* "host:port" or a path, as account_text.c has checked. */
static enum err connect_lmtp(struct fetch_drop *drop, struct client_failure *failure)
{
    autofree char *host = mem_strdup(drop->account->deliver_lmtp);
    struct client_server server = { .host = host, .security = CLIENT_PLAIN };
    struct smtpc *session = NULL;
    uint64_t port = 0;
    char *colon = host[0] == '/' ? NULL : strrchr(host, ':');
    if (colon) {
        *colon = '\0';
        if (slice_to_u64(slice_of(colon + 1), 65535, &port))
            return client_failed(failure, CLIENT_WHY_NO_TARGET, ERR_SYNTAX);
        server.port = (int)port;
    }
    struct smtpc_options options = { .account = drop->account, .server = &server, .lmtp = true };
    enum err e = smtpc_open(&options, &session, failure);
    if (e) { /* whatever it is: the mail has no place now */
        if (!failure->note.text[0])
            (void)err_noted(&failure->note, e, "deliver-lmtp %s: %s %.200s",
                drop->account->deliver_lmtp, err_words(e), failure->said);
        return client_failed(failure, CLIENT_WHY_DISK, ERR_BUSY);
    }
    drop->session = session;
    return ERR_OK;
}

static enum err lmtp_open(struct fetch_drop *drop, struct client_failure *failure)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/message", drop->state_folder) < 0)
        return client_failed(failure, CLIENT_WHY_DISK, ERR_IO);
    drop->batch_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (drop->batch_fd < 0)
        return fetch_disk_failed(failure, path, errno);
    (void)unlink(path); /* it is needed only while we are here */
    drop->writer.format = FETCH_FORMAT_CRLF;
    return ERR_OK;
}

static enum err lmtp_begin(
    struct fetch_drop *drop, struct fetch_item *item, struct client_failure *failure)
{
    item->path = mem_strdup(drop->account->deliver_lmtp);
    if (ftruncate(drop->batch_fd, 0) < 0 || lseek(drop->batch_fd, 0, SEEK_SET) < 0)
        return fetch_disk_failed(failure, "message", errno);
    fetch_writer_begin(&drop->writer, drop->batch_fd);
    return ERR_OK;
}

/* The sender as the server that received it wrote it down; "" when it did not. */
static void return_path(int fd, struct buf *out)
{
    struct msg_field field;
    struct msg_address *list;
    struct arena arena;
    struct buf head;
    size_t count = 0;
    bool utf8 = false;
    buf_init(&head, 0);
    char *to = buf_room(&head, HEADER_BYTES);
    ssize_t got = pread(fd, to, HEADER_BYTES, 0);
    buf_wrote(&head, got > 0 ? (size_t)got : 0);
    struct slice header = slice_sub(buf_slice(&head), 0, msg_header_len(buf_slice(&head)));
    arena_init(&arena, 1u << 20);
    bool ok = msg_field_find(header, SLICE("Return-Path"), &field) &&
              !msg_addresses(&arena, field.value, 1, &list, &count) && count > 0 &&
              list[0].mailbox.ptr && list[0].host.ptr &&
              !client_address_write(list[0].mailbox, list[0].host, out);
    buf_addc(out, '\0');
    if (!ok || !smtpc_address_ok(buf_slice(out).ptr, &utf8)) {
        buf_clear(out);
        buf_addc(out, '\0');
    }
    arena_done(&arena);
    buf_done(&head);
}

static enum err send_message(
    struct fetch_drop *drop, struct smtpc_outcome *outcome, struct client_failure *failure)
{
    const char *recipients[] = { drop->account->address };
    struct buf from;
    bool doubt = false;
    buf_init(&from, 0);
    return_path(drop->batch_fd, &from);
    struct smtpc_message message = {
        .from = buf_slice(&from).ptr,
        .recipients = recipients,
        .count = 1,
        .fd = drop->batch_fd,
        .bytes = drop->writer.bytes,
        /* a server of this machine takes what is there, whatever it says about 8BITMIME and SMTPUTF8: it has to be put somewhere */
    };
    enum err e = drop->session ? ERR_OK : connect_lmtp(drop, failure);
    if (!e)
        e = smtpc_send(drop->session, &message, outcome, &doubt, failure);
    buf_done(&from);
    return e;
}

static enum err lmtp_end(struct fetch_drop *drop, struct fetch_item *item, bool *out_refused,
    struct client_failure *failure)
{
    struct smtpc_outcome outcome = { .fate = SMTPC_WAITS };
    enum err e = send_message(drop, &outcome, failure);
    if (!e && outcome.fate == SMTPC_SENT) {
        e = fetch_state_set(drop->state, slice_from(item->key, item->key_len), item->becomes,
            clock_wall_s(), NULL, FETCH_UNKNOWN);
        if (!e)
            e = fetch_state_commit(drop->state);
        return e ? fetch_state_failed(failure, drop->state, e) : ERR_OK;
    }
    (void)err_noted(&failure->note, ERR_BUSY, "deliver-lmtp %s: %d %.200s", item->path,
        outcome.code, e ? failure->said : outcome.text);
    *out_refused = !e && (outcome.fate == SMTPC_REFUSED || fetch_drop_goes_on(drop));
    return *out_refused ? ERR_OK : client_failed(failure, CLIENT_WHY_DISK, ERR_BUSY);
}

static enum err lmtp_flush(struct fetch_drop *drop, struct client_failure *failure)
{
    (void)drop;
    (void)failure;
    return ERR_OK;
}

static void lmtp_drop_last(struct fetch_drop *drop)
{
    (void)drop;
}

static void lmtp_close(struct fetch_drop *drop)
{
    if (drop->session)
        smtpc_quit(drop->session);
    smtpc_close(drop->session);
}

const struct fetch_drop_ops fetch_drop_lmtp = {
    .open = lmtp_open,
    .begin = lmtp_begin,
    .end = lmtp_end,
    .flush = lmtp_flush,
    .drop_last = lmtp_drop_last,
    .close = lmtp_close,
};
