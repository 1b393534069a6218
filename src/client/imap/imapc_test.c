/* The pipeline against a peer that follows a script: answers at once and byte by byte, to the command that they belong to. */
#include "client/imap/imapc.h"

#include "base/test.h"
#include "client/imap/imapc_int.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One line of the client and what is said to it; "@" in the answer is the line's tag. */
struct turn {
    const char *line,
        *answer; /* line: what stands behind the tag, or the whole of a line without one; NULL answer: hangs up */
};

struct peer {
    char folder[40], path[64];
    int listener;
    const char *greeting;
    const struct turn *turns; /* borrowed; the last has no line */
    bool bytewise;
    char *heard; /* the first line that was not in the script; owned */
    size_t played;
    size_t rest; /* bytes of a line that never ended */
    pthread_t thread;
    struct client_account account;
};

static void say(const struct peer *peer, int fd, const char *text, struct slice tag)
{
    char all[16384];
    size_t len = 0;
    for (; *text; text++) {
        assert(len + tag.len + 1 < sizeof all);
        if (*text == '@') {
            memcpy(all + len, tag.ptr, tag.len);
            len += tag.len;
        } else {
            all[len++] = *text;
        }
    }
    size_t step = peer->bytewise ? 1 : len;
    for (size_t at = 0; at < len; at += step)
        if (send(fd, all + at, step, MSG_NOSIGNAL) < 0)
            break;
}

static bool play(struct peer *peer, int fd, const char *line)
{
    const struct turn *turn = &peer->turns[peer->played];
    const char *blank = strchr(line, ' ');
    bool tagged = line[0] == 'b' && blank && line[1] >= '0' && line[1] <= '9';
    const char *rest = tagged ? blank + 1 : line;
    if (strncmp(rest, "LOGOUT", 6) == 0)
        return true;
    if (!turn->line || strcmp(turn->line, rest) != 0) {
        if (!peer->heard)
            peer->heard = strdup(rest);
        return false;
    }
    peer->played++;
    if (!turn->answer)
        return false;
    say(peer, fd, turn->answer, slice_from(line, tagged ? (size_t)(blank - line) : 0));
    return true;
}

static void *peer_run(void *arg)
{
    struct peer *peer = arg;
    char line[4096];
    int fd = accept(peer->listener, NULL, NULL);
    assert(fd >= 0);
    say(peer, fd, peer->greeting, SLICE(""));
    for (size_t len = 0; len < sizeof line && recv(fd, line + len, 1, 0) == 1;) {
        peer->rest = ++len;
        if (line[len - 1] != '\n')
            continue;
        line[len - 2] = '\0'; /* without its CRLF */
        if (!play(peer, fd, line))
            break;
        len = 0;
        peer->rest = 0;
    }
    close(fd);
    return NULL;
}

static void peer_start(struct peer *peer)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(peer->folder, sizeof peer->folder, "/tmp/barid-imapc-XXXXXX");
    assert_non_null(mkdtemp(peer->folder));
    snprintf(peer->path, sizeof peer->path, "%s/s", peer->folder);
    memcpy(address.sun_path, peer->path, strlen(peer->path) + 1);
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
    static char name[] = "salma", at[] = "salma@barid.test";
    peer->account = (struct client_account){ .name = name,
        .address = at,
        .user = at,
        .imap = { .host = peer->path, .security = CLIENT_PLAIN } };
}

static void peer_stop(struct peer *peer, struct imapc *imap)
{
    imapc_close(imap);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    unlink(peer->path);
    rmdir(peer->folder);
    if (peer->heard)
        fail_msg("not in the script: <%s>", peer->heard);
}

static struct imapc *open_to(struct peer *peer)
{
    struct imapc *imap = NULL;
    struct client_failure failure;
    peer_start(peer);
    struct imapc_options options = {
        .account = &peer->account, .secret = SLICE_CONST("x"), .timeout_ms = 2000
    };
    if (imapc_open(&options, &imap, &failure) != ERR_OK)
        fail_msg("%s", failure.note.text);
    return imap;
}

#define GREETING(caps) "* PREAUTH [CAPABILITY IMAP4rev1" caps "] hi\r\n"

/* ---- what belongs to whom ---- */

struct heard {
    size_t data, done;
    uint32_t last;
    uint64_t body_bytes;
    char body[64];
    size_t body_len;
    enum err answer; /* of data */
};

static enum err on_data(struct imapc_task *task, const struct imap_reply *reply)
{
    struct heard *heard = task->owner;
    heard->data++;
    heard->last = reply->number;
    return heard->answer;
}

static enum err on_body_begin(struct imapc_task *task, uint64_t bytes)
{
    struct heard *heard = task->owner;
    heard->body_bytes = bytes;
    return ERR_OK;
}

static enum err on_body(struct imapc_task *task, struct slice piece)
{
    struct heard *heard = task->owner;
    assert_true(heard->body_len + piece.len <= sizeof heard->body);
    memcpy(heard->body + heard->body_len, piece.ptr, piece.len);
    heard->body_len += piece.len;
    return ERR_OK;
}

static enum err on_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct heard *heard = task->owner;
    (void)reply;
    heard->done++;
    return ERR_OK;
}

static struct imapc_task task_for(struct heard *heard)
{
    return (struct imapc_task){ .data = on_data,
        .body_begin = on_body_begin,
        .body = on_body,
        .done = on_done,
        .owner = heard };
}

static void test_pipeline(void **state)
{
    static const struct turn turns[] = {
        { "SELECT \"a\"", "* 3 EXISTS\r\n* OK [UIDNEXT 4] x\r\n@ OK [READ-WRITE] in\r\n" },
        { "UID FETCH 1:* BODY.PEEK[]",
            "* 1 FETCH (UID 1 BODY[] {7}\r\na\r\nxb\r\n FLAGS (\\Seen))\r\n@ OK done\r\n" },
        { "NOOP", "@ NO [UNAVAILABLE] later {5}\r\n" }, { NULL, NULL }
    };
    (void)state;
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        struct peer peer = { .greeting = GREETING(""), .turns = turns, .bytewise = bytewise };
        struct imapc *imap = open_to(&peer);
        struct heard first = { 0 }, second = { 0 }, third = { 0 };
        struct imapc_task one = task_for(&first), two = task_for(&second), three = task_for(&third);
        imapc_queue(imap, &one, SLICE("SELECT \"a\""));
        imapc_queuef(imap, &two, "UID FETCH 1:* %s", "BODY.PEEK[]");
        imapc_queue(imap, &three, SLICE("NOOP"));
        assert_int_equal(imapc_waiting(imap), 3);
        assert_ok(imapc_run(imap, &one));
        assert_false(one.waits);
        assert_int_equal(first.data, 2);
        assert_int_equal(second.done, 0);
        assert_ok(imapc_run(imap, NULL));
        assert_int_equal(imapc_waiting(imap), 0);
        assert_int_equal(second.data, 1);
        assert_int_equal(second.body_bytes, 7);
        assert_int_equal(second.done, 1);
        assert_int_equal(third.data, 0);
        assert_int_equal(third.done, 1);
        assert_string_equal(imapc_words(imap), "later {5}");
        assert_false(imapc_is_broken(imap));
        peer_stop(&peer, imap);
    }
}

static void test_commands(void **state)
{
    static const struct {
        const char *answer;
        enum err wanted;
        bool broken;
    } rows[] = {
        { "@ OK x\r\n", ERR_OK, false },
        { "@ NO [NONEXISTENT] x\r\n", ERR_NOT_FOUND, false },
        { "@ NO [ALREADYEXISTS] x\r\n", ERR_EXISTS, false },
        { "@ NO [OVERQUOTA] x\r\n", ERR_LIMIT, false },
        { "@ NO x\r\n", ERR_DENIED, false },
        { "@ BAD x\r\n", ERR_SYNTAX, false },
        { "zz OK x\r\n", ERR_SYNTAX, true },
        { "b9999 OK x\r\n", ERR_SYNTAX, true },
        { "+ go on\r\n", ERR_SYNTAX, true },
        { "@ PERHAPS\r\n", ERR_SYNTAX, true },
        { "* BYE x\r\n", ERR_CLOSED, true },
        { "@ O", ERR_TIMEOUT, true },
        { NULL, ERR_CLOSED, true },
        { "* LIST () \"/\" a\n@ OK\r\n", ERR_SYNTAX, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct turn turns[] = { { "NOOP", rows[i].answer }, { NULL, NULL } };
        struct peer peer = { .greeting = GREETING(""), .turns = turns };
        struct imapc *imap = open_to(&peer);
        enum err e = imapc_command(imap, SLICE("NOOP"));
        if (e != rows[i].wanted || imapc_is_broken(imap) != rows[i].broken)
            fail_msg("%zu: got %s", i, err_name(e));
        peer_stop(&peer, imap);
    }
}

/* An error of a task ends the run and the connection. */
static void test_task_fails(void **state)
{
    static const struct turn turns[] = { { "NOOP", "* 1 EXISTS\r\n* 2 EXISTS\r\n@ OK\r\n" },
        { NULL, NULL } };
    struct peer peer = { .greeting = GREETING(""), .turns = turns };
    struct imapc *imap = open_to(&peer);
    struct heard heard = { .answer = ERR_NO_SPACE };
    struct imapc_task task = task_for(&heard);
    (void)state;
    imapc_queue(imap, &task, SLICE("NOOP"));
    assert_err(ERR_NO_SPACE, imapc_run(imap, NULL));
    assert_int_equal(heard.last, 1);
    assert_true(imapc_is_broken(imap));
    assert_err(ERR_NO_SPACE, imapc_command(imap, SLICE("NOOP")));
    peer_stop(&peer, imap);
}

/* ---- APPEND ---- */

static enum err source(void *arg, char *to, size_t len)
{
    const char **at = arg;
    if (strlen(*at) < len)
        return ERR_IO;
    memcpy(to, *at, len);
    *at += len;
    return ERR_OK;
}

static void test_append(void **state)
{
    static const char with_plus[] = "APPEND \"a\" (\\Seen) {7+}",
                      without[] = "APPEND \"a\" (\\Seen) {7}";
    static const struct {
        const char *name, *greeting;
        struct turn turns[4];
        const char *bytes;
        enum err wanted;
        uint32_t uid;
        bool broken;
    } rows[] = {
        { "waits", GREETING(""),
            { { without, "* 5 EXISTS\r\n+ go\r\n" }, { "body1", "" },
                { "", "@ OK [APPENDUID 7 9] x\r\n" } },
            "body1\r\n", ERR_OK, 9, false },
        { "at once", GREETING(" LITERAL+"),
            { { with_plus, "" }, { "body1", "" }, { "", "b1 OK [APPENDUID 7 9] x\r\n" } },
            "body1\r\n", ERR_OK, 9, false },
        { "small at once", GREETING(" LITERAL-"),
            { { with_plus, "" }, { "body1", "" }, { "", "b1 OK x\r\n" } }, "body1\r\n", ERR_OK, 0,
            false },
        { "refused", GREETING(""), { { without, "@ NO [TRYCREATE] x\r\n" } }, "body1\r\n",
            ERR_NOT_FOUND, 0, false },
        { "done without it", GREETING(""), { { without, "@ OK [APPENDUID 7 9] x\r\n" } },
            "body1\r\n", ERR_SYNTAX, 0, true },
        { "no uid 0", GREETING(" LITERAL+"),
            { { with_plus, "" }, { "body1", "" }, { "", "b1 OK [APPENDUID 7 0] x\r\n" } },
            "body1\r\n", ERR_OK, 0, false },
        { "cut file", GREETING(" LITERAL+"), { { with_plus, "" } }, "body", ERR_IO, 0, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct turn turns[5] = { 0 };
        memcpy(turns, rows[i].turns, sizeof rows[i].turns);
        if (turns[2].answer && turns[2].answer[0] == '@')
            turns[2].answer = "b1 OK [APPENDUID 7 9] x\r\n"; /* the empty line has no tag */
        struct peer peer = { .greeting = rows[i].greeting, .turns = turns };
        struct imapc *imap = open_to(&peer);
        const char *at = rows[i].bytes;
        uint32_t uidvalidity = 0, uid = 0;
        enum err e =
            imapc_append(imap, SLICE("\"a\""), "(\\Seen)", "", 7, source, &at, &uidvalidity, &uid);
        if (e != rows[i].wanted || uid != rows[i].uid || imapc_is_broken(imap) != rows[i].broken)
            fail_msg("%s: got %s, uid %u", rows[i].name, err_name(e), uid);
        assert_int_equal(uidvalidity, uid ? 7 : 0);
        peer_stop(&peer, imap);
    }
}

static void test_strings(void **state)
{
    static const struct {
        struct slice in;
        const char *out; /* NULL: it cannot be said */
    } rows[] = {
        { SLICE_CONST(""), "\"\"" },
        { SLICE_CONST("a b"), "\"a b\"" },
        { SLICE_CONST("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { SLICE_CONST("a\r\nb"), NULL },
        { SLICE_CONST("a\0b"), NULL },
        { SLICE_CONST("\xd8\xa8"), NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_err(rows[i].out ? ERR_OK : ERR_SYNTAX, imapc_add_string(&out, rows[i].in));
        if (rows[i].out)
            assert_slice("string", buf_slice(&out), slice_of(rows[i].out));
        buf_done(&out);
    }
}

/* ---- APPEND in steps ---- */

struct steps {
    struct imapc_task task;
    enum err result;
    uint32_t uid;
};

static enum err step_done(struct imapc_task *task, const struct imap_reply *reply)
{
    struct steps *steps = task->owner;
    uint32_t uidvalidity;
    steps->result = imapc_reply_err(reply);
    (void)imapc_append_uid(reply, &uidvalidity, &steps->uid);
    return ERR_OK;
}

static enum err step_begin(struct imapc *imap, struct steps *steps, uint64_t bytes, bool *out_go)
{
    *steps = (struct steps){ .task = { .done = step_done, .owner = steps } };
    return imapc_append_begin(imap, &steps->task, SLICE("\"a\""), SLICE("(\\Seen)"),
        SLICE("\"26-Nov-2026 10:00:00 +0000\""), bytes, out_go);
}

#define STEP_LINE "APPEND \"a\" (\\Seen) \"26-Nov-2026 10:00:00 +0000\" {5"

/* Where the server lets literals come unasked, two are on their way before it has said a word. */
static void test_append_steps(void **state)
{
    static const struct turn at_once[] = { { STEP_LINE "+}", "" }, { "one", "" }, { "", "" },
        { STEP_LINE "+}", "" }, { "two..", "b1 OK [APPENDUID 7 9] x\r\nb2 NO [TOOBIG] x\r\n" },
        { NULL, NULL } };
    static const struct turn asked[] = { { STEP_LINE "}", "+ go\r\n" }, { "one", "" },
        { "", "b1 OK [APPENDUID 7 9] x\r\n" }, { STEP_LINE "}", "@ NO [TOOBIG] x\r\n" },
        { NULL, NULL } };
    (void)state;
    for (int now = 0; now < 2; now++) {
        struct peer peer = { .greeting =
                                 now ? GREETING(" LITERAL+ APPENDLIMIT=1000") : GREETING(""),
            .turns = now ? at_once : asked };
        struct imapc *imap = open_to(&peer);
        struct steps one, two;
        bool go = false;
        assert_true(imapc_append_limit(imap) == (now ? 1000 : UINT64_MAX));
        assert_ok(step_begin(imap, &one, 5, &go));
        assert_true(go);
        assert_ok(imapc_append_piece(imap, SLICE("on")));
        assert_ok(imapc_append_piece(imap, SLICE("e\r\n")));
        assert_ok(imapc_append_end(imap));
        assert_ok(step_begin(imap, &two, 5, &go));
        assert_int_equal(go, now);
        if (go) {
            assert_ok(imapc_append_piece(imap, SLICE("two..")));
            assert_ok(imapc_append_end(imap));
        }
        assert_ok(imapc_run(imap, NULL));
        assert_ok(one.result);
        assert_int_equal(one.uid, 9);
        assert_err(ERR_LIMIT, two.result);
        assert_false(imapc_is_broken(imap));
        peer_stop(&peer, imap);
    }
}

/* What is not whole never gets the line end that would make it a message; nothing else may stand in its place, LOGOUT neither. */
static void test_append_cut(void **state)
{
    static const struct turn turns[] = { { STEP_LINE "+}", "" }, { NULL, NULL } };
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct peer peer = { .greeting = GREETING(" LITERAL+"), .turns = turns };
        struct imapc *imap = open_to(&peer);
        struct steps one;
        bool go;
        assert_ok(step_begin(imap, &one, 5, &go));
        assert_ok(imapc_append_piece(imap, SLICE("hell")));
        assert_ok(imapc_flush(imap));
        if (how == 0)
            imapc_append_cut(imap);
        if (how == 1)
            assert_err(ERR_SYNTAX, imapc_append_end(imap));
        assert_int_equal(imapc_is_broken(imap), how < 2);
        if (how < 2)
            assert_int_not_equal(imapc_run(imap, NULL), ERR_OK);
        peer_stop(&peer, imap);
        assert_int_equal(peer.played, 1);
        assert_int_equal(peer.rest, 4);
    }
}

/* ---- compression ---- */

static void test_compression_pays_where_it_is_far_and_much(void **state)
{
    (void)state;
    assert_true(imapc_compress_pays(5000, 1u << 20));
    assert_true(imapc_compress_pays(80000, 1u << 30));
    assert_false(imapc_compress_pays(4999, 1u << 30));
    assert_false(imapc_compress_pays(80000, (1u << 20) - 1));
    assert_false(imapc_compress_pays(0, UINT64_MAX));
}

TEST_MAIN(cmocka_unit_test(test_compression_pays_where_it_is_far_and_much),
    cmocka_unit_test(test_pipeline), cmocka_unit_test(test_commands),
    cmocka_unit_test(test_task_fails), cmocka_unit_test(test_append),
    cmocka_unit_test(test_append_steps), cmocka_unit_test(test_append_cut),
    cmocka_unit_test(test_strings))
