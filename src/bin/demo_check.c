/* barid demo --self-test: a mail goes its whole way through the running server and must come back byte for byte. The dialogues are written
 * out here, so that no part of the server is tested by itself. */
#include "bin/verb_demo.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/rand.h"
#include "net/dial.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS    10000
#define ARRIVES_MS 20000
#define BODY_LINES 4000 /* long enough to be a file of its own in the store */

struct self_test {
    struct server *server;
    char mark[40]; /* in the subject */
    struct buf body;
};

static enum err expect(struct dial *dial, const char *start)
{
    struct slice line;
    TRY(dial_line(dial, &line));
    if (slice_starts(line, slice_of(start)))
        return ERR_OK;
    (void)fprintf(stderr, "  wanted \"%s\", got \"%.*s\"\n", start, SLICE_FMT(line));
    return ERR_SYNTAX;
}

/* Reads up to the line that starts so; any other line that says no is an error. */
static enum err expect_after(struct dial *dial, const char *start)
{
    struct slice line;
    for (;;) {
        TRY(dial_line(dial, &line));
        if (slice_starts(line, slice_of(start)))
            return ERR_OK;
        if (slice_starts(line, SLICE("-ERR")) || slice_starts(line, SLICE("5")) ||
            slice_find(line, SLICE(" NO ")) == 2) {
            (void)fprintf(stderr, "  wanted \"%s\", got \"%.*s\"\n", start, SLICE_FMT(line));
            return ERR_SYNTAX;
        }
    }
}

static enum err connect_to(struct self_test *t, enum protocol protocol, bool tls, struct dial **out)
{
    struct err_note note = { "" };
    enum err e = dial_open("localhost", server_port(t->server, protocol, tls),
        tls ? DIAL_TLS : DIAL_PLAIN, server_cert_file(t->server), STEP_MS, out, &note);
    if (e != ERR_OK)
        (void)fprintf(stderr, "  %s\n", note.text);
    return e;
}

static enum err start_tls(struct dial *dial)
{
    struct err_note note = { "" };
    enum err e = dial_starttls(dial, DIAL_TLS, &note);
    if (e != ERR_OK)
        (void)fprintf(stderr, "  %s\n", note.text);
    return e;
}

/* ---- sending ---- */

static enum err send_dialogue(struct self_test *t, struct dial *d)
{
    struct buf token;
    TRY(expect(d, "220 "));
    TRY(dial_sendf(d, "EHLO self.test\r\n"));
    TRY(expect_after(d, "250 "));
    TRY(dial_sendf(d, "STARTTLS\r\n"));
    TRY(expect(d, "220 "));
    TRY(start_tls(d));
    TRY(dial_sendf(d, "EHLO self.test\r\n"));
    TRY(expect_after(d, "250 "));
    buf_init(&token, 0);
    base64_encode(&token, SLICE("\0" DEMO_SALMA "\0" DEMO_SALMA_PASSWORD));
    enum err e = dial_sendf(d, "AUTH PLAIN %.*s\r\n", SLICE_FMT(buf_slice(&token)));
    buf_done(&token);
    TRY(e);
    TRY(expect(d, "235 "));
    TRY(dial_sendf(d, "MAIL FROM:<" DEMO_SALMA ">\r\nRCPT TO:<" DEMO_OMAR ">\r\nDATA\r\n"));
    TRY(expect(d, "250 "));
    TRY(expect(d, "250 "));
    TRY(expect(d, "354 "));
    TRY(dial_sendf(d,
        "From: Salma <" DEMO_SALMA ">\r\nTo: Omar <" DEMO_OMAR ">\r\nSubject: %s\r\n\r\n",
        t->mark));
    TRY(dial_send(d, buf_slice(&t->body)));
    TRY(dial_sendf(d, ".\r\nQUIT\r\n"));
    TRY(expect(d, "250 "));
    return expect(d, "221 ");
}

/* ---- reading ---- */

static enum err same_body(struct self_test *t, struct slice message)
{
    size_t at = slice_find(message, SLICE("\r\n\r\n"));
    if (at == SIZE_MAX || slice_find(slice_sub(message, 0, at), slice_of(t->mark)) == SIZE_MAX)
        return ERR_CORRUPT;
    return slice_eq(slice_from_index(message, at + 4), buf_slice(&t->body)) ? ERR_OK : ERR_CORRUPT;
}

static enum err imap_login(
    struct dial *d, const char *user, const char *password, const char *mailbox)
{
    TRY(expect(d, "* OK "));
    TRY(dial_sendf(d, "a LOGIN %s %s\r\n", user, password));
    TRY(expect_after(d, "a OK "));
    TRY(dial_sendf(d, "b EXAMINE %s\r\n", mailbox));
    return expect_after(d, "b OK ");
}

/* Asks until the message is there, at most ARRIVES_MS. */
static enum err imap_find(struct self_test *t, struct dial *d, unsigned long *out_uid)
{
    int64_t until = clock_mono_ms() + ARRIVES_MS;
    *out_uid = 0;
    while (*out_uid == 0) {
        struct slice line;
        TRY(dial_sendf(d, "c UID SEARCH SUBJECT %s\r\n", t->mark));
        do {
            TRY(dial_line(d, &line));
            if (slice_starts(line, SLICE("* SEARCH ")))
                *out_uid = strtoul(line.ptr + 9, NULL, 10);
        } while (!slice_starts(line, SLICE("c ")));
        if (*out_uid == 0 && clock_mono_ms() > until)
            return ERR_TIMEOUT;
        if (*out_uid == 0)
            (void)poll(NULL, 0, 50);
    }
    return ERR_OK;
}

static enum err imap_fetch(struct self_test *t, struct dial *d)
{
    unsigned long uid;
    struct slice line;
    struct buf message;
    TRY(imap_find(t, d, &uid));
    TRY(dial_sendf(d, "d UID FETCH %lu BODY.PEEK[]\r\n", uid));
    do
        TRY(dial_line(d, &line));
    while (slice_index(line, '{') == line.len && slice_starts(line, SLICE("* ")));
    size_t at = slice_index(line, '{');
    uint64_t size;
    if (at == line.len ||
        slice_to_u64(slice_sub(line, at + 1, line.len - at - 2), 100u << 20, &size) != ERR_OK)
        return ERR_SYNTAX;
    buf_init(&message, 0);
    enum err e = dial_bytes(d, (size_t)size, &message);
    if (e == ERR_OK)
        e = same_body(t, buf_slice(&message));
    buf_done(&message);
    TRY(e);
    TRY(expect_after(d, "d OK "));
    TRY(dial_sendf(d, "e LOGOUT\r\n"));
    return expect_after(d, "e OK ");
}

static enum err pop_fetch(struct self_test *t, struct dial *d)
{
    struct slice line;
    unsigned long count;
    TRY(expect(d, "+OK"));
    TRY(dial_sendf(d, "USER " DEMO_OMAR "\r\nPASS " DEMO_OMAR_PASSWORD "\r\nSTAT\r\n"));
    TRY(expect(d, "+OK"));
    TRY(expect(d, "+OK"));
    TRY(dial_line(d, &line));
    if (!slice_starts(line, SLICE("+OK ")))
        return ERR_SYNTAX;
    count = strtoul(line.ptr + 4, NULL, 10);
    TRY(dial_sendf(d, "RETR %lu\r\n", count));
    TRY(expect(d, "+OK"));
    struct buf message;
    buf_init(&message, 0);
    enum err e;
    while ((e = dial_line(d, &line)) == ERR_OK && !slice_eq(line, SLICE("."))) {
        buf_add(&message, slice_from_index(line, slice_starts(line, SLICE("."))));
        buf_adds(&message, "\r\n");
    }
    if (e == ERR_OK)
        e = same_body(t, buf_slice(&message));
    buf_done(&message);
    TRY(e);
    TRY(dial_sendf(d, "QUIT\r\n"));
    return expect(d, "+OK");
}

static enum err imap_step(struct self_test *t, struct dial *d)
{
    TRY(imap_login(d, DEMO_OMAR, DEMO_OMAR_PASSWORD, "INBOX"));
    return imap_fetch(t, d);
}

static enum err sent_step(struct self_test *t, struct dial *d)
{
    TRY(imap_login(d, DEMO_SALMA, DEMO_SALMA_PASSWORD, "Sent"));
    return imap_fetch(t, d);
}

enum err demo_self_test(struct server *server)
{
    static const struct {
        enum message_id says;
        enum protocol protocol;
        bool tls;
        enum err (*run)(struct self_test *t, struct dial *d);
    } steps[] = {
        { MSG_SELF_TEST_SEND, PROTOCOL_SUBMISSION, false, send_dialogue },
        { MSG_SELF_TEST_IMAP, PROTOCOL_IMAP, false, imap_step },
        { MSG_SELF_TEST_IMAPS, PROTOCOL_IMAP, true, imap_step },
        { MSG_SELF_TEST_SENT, PROTOCOL_IMAP, true, sent_step },
        { MSG_SELF_TEST_POP, PROTOCOL_POP3, false, pop_fetch },
        { MSG_SELF_TEST_POPS, PROTOCOL_POP3, true, pop_fetch },
    };
    struct self_test t = { .server = server };
    unsigned long long mark;
    rand_bytes(&mark, sizeof mark);
    (void)snprintf(t.mark, sizeof t.mark, "self-test-%016llx", mark);
    buf_init(&t.body, 0);
    for (int i = 0; i < BODY_LINES; i++)
        buf_addf(
            &t.body, "السلام عليكم, line %d of a message that must come back as it went.\r\n", i);
    enum err e = ERR_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && e == ERR_OK; i++) {
        struct dial *dial = NULL;
        cli_say(steps[i].says);
        (void)fflush(stdout);
        e = connect_to(&t, steps[i].protocol, steps[i].tls, &dial);
        if (e == ERR_OK)
            e = steps[i].run(&t, dial);
        dial_close(dial);
    }
    buf_done(&t.body);
    return e;
}
