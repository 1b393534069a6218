/* What the blocking client makes of a peer that answers well, badly, or not at all. */
#include "net/dial.h"

#include "base/clock.h"
#include "base/test.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer that says one thing, byte by byte or at once, and then closes or stays. */
struct peer {
    char folder[40], path[64];
    int listener;
    const char *text; /* borrowed */
    size_t len;
    bool bytewise, stays;
    pthread_t thread;
};

static void *peer_run(void *arg)
{
    struct peer *peer = arg;
    int fd = accept(peer->listener, NULL, NULL);
    assert(fd >= 0);
    size_t step = peer->bytewise ? 1 : peer->len;
    for (size_t at = 0; at < peer->len; at += step)
        if (send(fd, peer->text + at, step, MSG_NOSIGNAL) < 0)
            break;
    char sink;
    if (peer->stays)
        while (recv(fd, &sink, 1, 0) > 0)
            ;
    close(fd);
    return NULL;
}

static struct dial *peer_start(struct peer *peer)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct dial *dial = NULL;
    struct err_note note = { "" };
    snprintf(peer->folder, sizeof peer->folder, "/tmp/barid-dial-XXXXXX");
    assert_non_null(mkdtemp(peer->folder));
    snprintf(peer->path, sizeof peer->path, "%s/s", peer->folder);
    memcpy(address.sun_path, peer->path, strlen(peer->path) + 1);
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
    if (dial_open(peer->path, 0, DIAL_PLAIN, NULL, 300, &dial, &note) != ERR_OK)
        fail_msg("%s", note.text);
    return dial;
}

static void peer_stop(struct peer *peer, struct dial *dial)
{
    dial_close(dial);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    unlink(peer->path);
    rmdir(peer->folder);
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *first;
        enum err then;
        bool stays;
    } rows[] = {
        { "one line", "220 hello\r\n", "220 hello", ERR_CLOSED, false },
        { "empty line", "\r\n", "", ERR_CLOSED, false },
        { "CR inside", "a\rb\r\n", "a\rb", ERR_CLOSED, false },
        { "bare LF", "ok\r\nbad\n", "ok", ERR_SYNTAX, false },
        { "LF alone", "ok\r\n\n", "ok", ERR_SYNTAX, false },
        { "half a line", "ok\r\nhal", "ok", ERR_CLOSED, false },
        { "silence", "ok\r\n", "ok", ERR_TIMEOUT, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows * 2; i++) {
        size_t row = i / 2;
        struct peer peer = {
            .text = rows[row].text,
            .len = strlen(rows[row].text),
            .stays = rows[row].stays,
            .bytewise = i % 2 == 1,
        };
        struct dial *dial = peer_start(&peer);
        struct slice line;
        assert_ok(dial_line(dial, &line));
        assert_slice(rows[row].name, line, slice_of(rows[row].first));
        enum err got = dial_line(dial, &line);
        if (got != rows[row].then)
            fail_msg("%s: got %s", rows[row].name, err_name(got));
        peer_stop(&peer, dial);
    }
}

static void test_long_line(void **state)
{
    (void)state;
    size_t len = 70000;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    struct peer peer = { .text = text, .len = len };
    struct dial *dial = peer_start(&peer);
    struct slice line;
    assert_err(ERR_LIMIT, dial_line(dial, &line));
    peer_stop(&peer, dial);
    free(text);
}

static void test_bytes(void **state)
{
    (void)state;
    static const char text[] = "* 1 FETCH {5}\r\nab\ncd)\r\n";
    struct peer peer = { .text = text, .len = sizeof text - 1, .bytewise = true };
    struct dial *dial = peer_start(&peer);
    struct slice line;
    struct buf body;
    buf_init(&body, 0);
    assert_ok(dial_line(dial, &line));
    assert_ok(dial_bytes(dial, 5, &body));
    assert_slice("body", buf_slice(&body), SLICE("ab\ncd"));
    assert_ok(dial_line(dial, &line));
    assert_slice("rest", line, SLICE(")"));
    assert_err(ERR_CLOSED, dial_bytes(dial, 1, &body));
    buf_done(&body);
    peer_stop(&peer, dial);
}

/* RFC 3207 §6, from the other side: words after the go-ahead were never inside TLS. */
static void test_starttls_answer_injected(void **state)
{
    (void)state;
    static const char text[] = "220 go ahead\r\n250 injected\r\n";
    struct peer peer = { .text = text, .len = sizeof text - 1, .stays = true };
    struct dial *dial = peer_start(&peer);
    struct slice line;
    struct err_note note = { "" };
    assert_ok(dial_line(dial, &line));
    assert_err(ERR_DENIED, dial_starttls(dial, DIAL_TLS_UNVERIFIED, &note));
    assert_err(ERR_DENIED,
        dial_send(dial, SLICE("AUTH PLAIN secret\r\n"))); /* nor goes anything out in the clear */
    peer_stop(&peer, dial);
}

static void test_slow_peer(void **state)
{
    (void)state;
    struct peer peer = { .text = "", .len = 0, .stays = true };
    struct dial *dial = peer_start(&peer);
    struct slice line;
    int64_t start_ms = clock_mono_ms();
    assert_err(ERR_TIMEOUT, dial_line(dial, &line));
    int64_t took_ms = clock_mono_ms() - start_ms;
    assert_true(took_ms >= 290);
    assert_true(took_ms < HANG_MS);
    peer_stop(&peer, dial);
}

/* A peer that writes all its answers before it reads the rest of the commands, and a client that writes all its commands before it reads. */
static void test_both_write(void **state)
{
    (void)state;
    size_t len = 4u << 20;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'x', len);
    struct peer peer = { .text = text, .len = len, .stays = true };
    struct dial *dial = peer_start(&peer);
    assert_ok(dial_send(dial, slice_from(text, len)));
    while (dial_in(dial).len < len)
        assert_ok(dial_more(dial));
    dial_consume(dial, 1);
    assert_slice("all of it", dial_in(dial), slice_from(text, len - 1));
    assert_err(ERR_TIMEOUT, dial_wait(dial, 1));
    assert_err(ERR_TIMEOUT, dial_wait(dial, 1)); /* it breaks nothing */
    assert_true(dial_is_private(dial));
    assert_false(dial_is_tls(dial));
    peer_stop(&peer, dial);
    free(text);
}

static void test_nobody(void **state)
{
    (void)state;
    struct dial *dial = NULL;
    struct err_note note = { "" };
    assert_err(ERR_CLOSED, dial_open("127.0.0.1", 1, DIAL_PLAIN, NULL, 500, &dial, &note));
    assert_true(note.text[0] != '\0');
    assert_err(ERR_NOT_FOUND, dial_open("/nowhere/socket", 0, DIAL_PLAIN, NULL, 500, &dial, &note));
    assert_null(dial);
}

/* ---- by address ---- */

struct talker {
    int listener;
    useconds_t pause_us;
};

/* Says a line now and then, or one after another, for ever. */
static void *talk_on(void *arg)
{
    const struct talker *talker = arg;
    int fd = accept(talker->listener, NULL, NULL);
    assert(fd >= 0);
    while (send(fd, "more\r\n", 6, MSG_NOSIGNAL) == 6)
        if (talker->pause_us)
            usleep(talker->pause_us);
    close(fd);
    return NULL;
}

static int listen_on_loopback(int *out_port)
{
    struct sockaddr_in place = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof place;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&place, sizeof place), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&place, &len), 0);
    assert_int_equal(listen(listener, 4), 0);
    *out_port = ntohs(place.sin_port);
    return listener;
}

static void test_open_at(void **state)
{
    static const char *const refuses[] = { "127.0.0.2" }, *const no_address[] = { "localhost" };
    struct dial *dial = NULL;
    int port;
    int listener = listen_on_loopback(&port);
    int64_t end_ms = clock_mono_ms() + HANG_MS;
    (void)state;
    assert_err(ERR_CLOSED,
        dial_open_at("a.example", refuses, 1, port, DIAL_PLAIN, NULL, end_ms, &dial, NULL));
    assert_err(ERR_SYNTAX,
        dial_open_at("a.example", no_address, 1, port, DIAL_PLAIN, NULL, end_ms, &dial, NULL));
    assert_err(ERR_NOT_FOUND,
        dial_open_at("a.example", refuses, 0, port, DIAL_PLAIN, NULL, end_ms, &dial, NULL));
    close(listener);
}

/* The first address refuses, the second answers; and however much it goes on to say, the end is the end of all calls together. */
static void test_end_of_all_calls(void **state)
{
    static const char *const addresses[] = { "127.0.0.2", "127.0.0.1" };
    static const useconds_t pauses_us[] = { 5000, 0 };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct dial *dial = NULL;
        struct slice line;
        pthread_t peer;
        int port;
        struct talker talker = { .listener = listen_on_loopback(&port), .pause_us = pauses_us[i] };
        assert_int_equal(pthread_create(&peer, NULL, talk_on, &talker), 0);
        int64_t end_ms = clock_mono_ms() + 300;
        assert_ok(
            dial_open_at("a.example", addresses, 2, port, DIAL_PLAIN, NULL, end_ms, &dial, NULL));
        enum err e = dial_line(dial, &line);
        assert_ok(e);
        if (pauses_us[i] == 0) /* by then its words fill what the kernel keeps of them */
            while (clock_mono_ms() < end_ms)
                usleep(10000);
        size_t late = 0;
        while (e == ERR_OK && clock_mono_ms() < end_ms + HANG_MS) {
            e = dial_line(dial, &line);
            late += e == ERR_OK && clock_mono_ms() >= end_ms;
        }
        assert_err(ERR_TIMEOUT, e);
        assert_in_range(late, 0, (64u << 10) / 6); /* that had been received before; no more is */
        assert_false(dial_distrusts(dial));
        dial_close(dial);
        (void)pthread_join(peer, NULL);
        close(talker.listener);
    }
}

TEST_MAIN(cmocka_unit_test(test_lines), cmocka_unit_test(test_long_line),
    cmocka_unit_test(test_bytes), cmocka_unit_test(test_starttls_answer_injected),
    cmocka_unit_test(test_slow_peer), cmocka_unit_test(test_both_write),
    cmocka_unit_test(test_nobody), cmocka_unit_test(test_open_at),
    cmocka_unit_test(test_end_of_all_calls))
