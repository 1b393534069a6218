/* The demo: a server in this process, its folder made for it and removed at the end. Not confined, because it removes that folder itself. */
#include "bin/verb_demo.h"

#include "base/clock.h"
#include "base/limits.h"
#include "bin/demo_mail.h"
#include "bin/verb_serve.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_BASE 1000
#define SLOW_MS   10000
#define FLAGS_MAX 16

struct demo {
    const char *keep; /* NULL: the folder goes at the end */
    int port_base;    /* -1: ports that the system chooses */
    bool self_test;
    char folder[400];
    struct config *config;
    struct server *server;
};

static const struct {
    enum protocol protocol;
    bool implicit_tls;
    int port; /* with the base at 1000 */
} demo_ports[] = {
    { PROTOCOL_IMAP, false, 1143 },
    { PROTOCOL_IMAP, true, 1993 },
    { PROTOCOL_POP3, false, 1110 },
    { PROTOCOL_POP3, true, 1995 },
    { PROTOCOL_SMTP, false, 1025 },
    { PROTOCOL_SUBMISSION, false, 1587 },
    { PROTOCOL_SUBMISSION, true, 1465 },
    { PROTOCOL_LMTP, false, 1024 },
};

/* ---- setting up ---- */

static enum err configure(struct demo *demo, struct err_note *note)
{
    TRY(config_load(NULL, &demo->config, note));
    struct config *config = demo->config;
    (void)snprintf(config->hostname, sizeof config->hostname, "mail.barid.test");
    (void)snprintf(config->data_dir, sizeof config->data_dir, "%s", demo->folder);
    (void)snprintf(config->log_level, sizeof config->log_level, "warn");
    config->run_user[0] = 0;
    config->cert_file[0] = config->key_file[0] = 0;
    config->plain_login_on_loopback = true;
    config->test_addresses = true;
    config->slow_ms = SLOW_MS;
    config->listener_count = 0;
    for (size_t i = 0; i < sizeof demo_ports / sizeof demo_ports[0]; i++) {
        struct listener *listener = &config->listeners[config->listener_count++];
        listener->protocol = demo_ports[i].protocol;
        listener->implicit_tls = demo_ports[i].implicit_tls;
        listener->port = demo->port_base < 0 ? 0 : demo_ports[i].port - PORT_BASE + demo->port_base;
        (void)snprintf(listener->address, sizeof listener->address, "127.0.0.1");
    }
    return ERR_OK;
}

static enum err add_users(struct demo *demo, struct err_note *note)
{
    struct directory *directory = demo->server->directory;
    TRY(directory_domain_add(directory, SLICE("barid.test"), note));
    const struct user_new users[] = {
        { .address = SLICE(DEMO_SALMA),
            .password = SLICE(DEMO_SALMA_PASSWORD),
            .services = USER_IMAP | USER_SUBMISSION },
        { .address = SLICE(DEMO_OMAR),
            .password = SLICE(DEMO_OMAR_PASSWORD),
            .services = USER_IMAP | USER_POP3 | USER_SUBMISSION },
    };
    return directory_users_add(directory, users, 2, note);
}

static struct store_flags flags_of(struct slice text, struct slice *keywords)
{
    static const struct {
        struct slice name;
        unsigned flag;
    } system[] = {
        { SLICE_CONST("\\Seen"), STORE_SEEN },
        { SLICE_CONST("\\Answered"), STORE_ANSWERED },
        { SLICE_CONST("\\Flagged"), STORE_FLAGGED },
        { SLICE_CONST("\\Deleted"), STORE_DELETED },
        { SLICE_CONST("\\Draft"), STORE_DRAFT },
    };
    struct store_flags flags = { .keywords = keywords };
    struct slice word;
    while (slice_cut(&text, ' ', &word)) {
        bool known = false;
        for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
            if (slice_eq_nocase(word, system[i].name)) {
                flags.system |= system[i].flag;
                known = true;
            }
        if (!known && word.len && flags.keyword_count < FLAGS_MAX)
            keywords[flags.keyword_count++] = word;
    }
    return flags;
}

static enum err file_one(struct account *account, struct store *store, const struct demo_mail *mail)
{
    struct arena arena;
    struct mailbox box;
    struct slice keywords[FLAGS_MAX];
    struct blob *blob = NULL;
    arena_init(&arena, 1u << 20);
    enum err e = account_mailbox(account, mail->folder, &arena, &box);
    if (e == ERR_NOT_FOUND) {
        e = mailbox_create(account, mail->folder, STORE_USE_NONE, &box.id);
        if (e == ERR_OK)
            e = mailbox_subscribe(account, mail->folder, true);
    }
    if (e == ERR_OK)
        e = blob_new(store, MESSAGE_BYTES_MAX, &blob);
    if (e == ERR_OK)
        e = blob_write(blob, mail->message);
    if (e == ERR_OK)
        e = blob_finish(blob);
    if (e == ERR_OK) {
        struct store_append_result result;
        struct store_append item = { .blob = blob,
            .flags = flags_of(mail->flags, keywords),
            .received_s = clock_wall_s() - mail->age_s };
        e = account_append(account, box.id, &item, 1, &result);
    }
    blob_unref(blob);
    arena_done(&arena);
    return e;
}

static enum err file_all(struct demo *demo)
{
    static const char *const addresses[] = { DEMO_SALMA, DEMO_OMAR };
    for (size_t i = 0; i < 2; i++) {
        struct user user;
        struct account *account;
        TRY(directory_user(demo->server->directory, slice_of(addresses[i]), &user));
        TRY(server_account(demo->server, &user, &account));
        struct slice name =
            slice_sub(slice_of(user.address), 0, slice_index(slice_of(user.address), '@'));
        enum err e = ERR_OK;
        size_t cursor = 0;
        struct demo_mail mail;
        while (e == ERR_OK && demo_mail_next(&cursor, &mail))
            if (slice_eq(mail.account, name))
                e = file_one(account, demo->server->store, &mail);
        account_unref(account);
        TRY(e);
    }
    return ERR_OK;
}

/* A kept folder that was filled before stays as it is. */
static enum err fill(struct demo *demo, struct err_note *note)
{
    if (directory_domain_is_local(demo->server->directory, SLICE("barid.test")))
        return ERR_OK;
    TRY(add_users(demo, note));
    return file_all(demo);
}

/* ---- what it says ---- */

static void say_hello(const struct demo *demo)
{
    const struct server *s = demo->server;
    cli_say(MSG_DEMO_RUNS, demo->folder);
    cli_say(MSG_DEMO_USER, DEMO_SALMA, DEMO_SALMA_PASSWORD, tr(MSG_DEMO_POP_OFF));
    cli_say(MSG_DEMO_USER, DEMO_OMAR, DEMO_OMAR_PASSWORD, tr(MSG_DEMO_POP_ON));
    cli_say(MSG_DEMO_PORTS, server_port(s, PROTOCOL_IMAP, false),
        server_port(s, PROTOCOL_IMAP, true), server_port(s, PROTOCOL_POP3, false),
        server_port(s, PROTOCOL_POP3, true), server_port(s, PROTOCOL_SMTP, false),
        server_port(s, PROTOCOL_SUBMISSION, false), server_port(s, PROTOCOL_SUBMISSION, true),
        server_port(s, PROTOCOL_LMTP, false), server_cert_file(s));
    cli_say(MSG_DEMO_TRY);
    (void)printf("  curl -u %s:%s 'imap://127.0.0.1:%d/INBOX;MAILINDEX=1'\n", DEMO_SALMA,
        DEMO_SALMA_PASSWORD, server_port(s, PROTOCOL_IMAP, false));
    (void)printf("  curl -u %s:%s pop3://127.0.0.1:%d/1\n", DEMO_OMAR, DEMO_OMAR_PASSWORD,
        server_port(s, PROTOCOL_POP3, false));
    (void)printf(
        "  printf 'Subject: salam\\r\\n\\r\\nHello\\r\\n' | curl -u %s:%s smtp://127.0.0.1:%d"
        " --mail-from %s --mail-rcpt %s -T -\n",
        DEMO_SALMA, DEMO_SALMA_PASSWORD, server_port(s, PROTOCOL_SUBMISSION, false), DEMO_SALMA,
        DEMO_OMAR);
    cli_say(MSG_DEMO_END);
    (void)fflush(stdout);
}

/* ---- the end ---- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_folder(const struct demo *demo)
{
    if (!demo->keep && demo->folder[0] &&
        nftw(demo->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        cli_error(MSG_DEMO_LEFT, demo->folder);
}

static enum err run(struct demo *demo, struct err_note *note)
{
    TRY(configure(demo, note));
    struct server_options options = serve_options(demo->config, false);
    TRY(server_new(&options, &demo->server, note));
    TRY(fill(demo, note));
    TRY(server_start(demo->server, note));
    if (demo->self_test)
        return demo_self_test(demo->server);
    say_hello(demo);
    serve_until_signal(demo->server);
    return ERR_OK;
}

static bool make_folder(struct demo *demo)
{
    if (demo->keep)
        return (size_t)snprintf(demo->folder, sizeof demo->folder, "%s", demo->keep) <
               sizeof demo->folder;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(
        demo->folder, sizeof demo->folder, "%.300s/barid-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(demo->folder))
        return true;
    demo->folder[0] = 0;
    return false;
}

/* False: the message was printed. */
static bool read_options(struct demo *demo, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool keep = strcmp(argv[i], "--keep") == 0, base = strcmp(argv[i], "--port-base") == 0;
        uint64_t number;
        if (strcmp(argv[i], "--self-test") == 0) {
            demo->self_test = true;
            demo->port_base = -1;
            continue;
        }
        if (!keep && !base) {
            cli_error(MSG_UNKNOWN_OPTION, argv[i]);
            return false;
        }
        if (i + 1 == argc) {
            cli_error(MSG_OPTION_NEEDS_VALUE, argv[i]);
            return false;
        }
        i++;
        if (keep) {
            demo->keep = argv[i];
        } else if (slice_to_u64(slice_of(argv[i]), 64000, &number) == ERR_OK && number >= 100) {
            demo->port_base = (int)number;
        } else {
            cli_error(MSG_DEMO_PORT_BASE, argv[i]);
            return false;
        }
    }
    return true;
}

int verb_demo(const struct cli *cli, int argc, char **argv)
{
    (void)cli;
    struct demo demo = { .port_base = PORT_BASE };
    struct err_note note = { "" };
    if (!read_options(&demo, argc, argv))
        return EX_USAGE;
    serve_block_signals();
    if (!make_folder(&demo)) {
        cli_error(MSG_FAILED, "mkdtemp");
        return EX_CANTCREAT;
    }
    enum err e = run(&demo, &note);
    if (e != ERR_OK && !demo.self_test)
        cli_error_text(note.text[0] ? note.text : err_words(e));
    else if (e != ERR_OK)
        cli_error(MSG_SELF_TEST_FAILED, note.text[0] ? note.text : err_words(e));
    else if (demo.self_test)
        cli_say(MSG_SELF_TEST_OK);
    server_free(demo.server);
    config_unref(demo.config);
    remove_folder(&demo);
    return cli_exit_code(e);
}
