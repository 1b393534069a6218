/* accounts.conf: what is read from it, what is refused and where, and how the file is changed. */
#include "base/arena.h"
#include "base/test.h"
#include "client/core/account_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD "account salma\n  address salma@barid.test\n"

static enum err parse(const char *text, struct client_accounts *accounts, struct err_note *note)
{
    return client_accounts_parse(slice_of(text), "accounts.conf", "/home/salma", accounts, note);
}

static const struct client_account *parse_one(const char *text, struct client_accounts *accounts)
{
    struct err_note note = { "" };
    if (parse(text, accounts, &note))
        fail_msg("%s", note.text);
    assert_int_equal(accounts->count, 1);
    return &accounts->all[0];
}

/* ---- text ---- */

/* Written as it was read; the key ring may hold the tokens. */
static void test_oauth(void **state)
{
    (void)state;
    static const char text[] = HEAD "  secret-service\n"
                                    "  oauth-issuer https://login.barid.test/x\n"
                                    "  oauth-authorization-url https://login.barid.test/a\n"
                                    "  oauth-token-url https://login.barid.test/t\n"
                                    "  oauth-device-url http://127.0.0.1:8080/d\n"
                                    "  oauth-client-id \"my id\"\n"
                                    "  oauth-client-secret-command pass client\n"
                                    "  oauth-scope imap smtp\n";
    struct client_accounts accounts;
    struct err_note note = { "" };
    struct buf out;
    const struct client_account *a = parse_one(text, &accounts);
    assert_true(a->secret_service);
    assert_string_equal(a->oauth_issuer, "https://login.barid.test/x");
    assert_string_equal(a->oauth_client_id, "my id");
    assert_string_equal(a->oauth_scope[1], "smtp");
    buf_init(&out, 0);
    assert_ok(client_account_write(a, &out, &note));
    assert_slice("as it was read", buf_slice(&out), slice_of(text));
    buf_done(&out);
    client_accounts_done(&accounts);
}

static void test_every_keyword(void **state)
{
    (void)state;
    struct client_accounts accounts;
    const struct client_account *a =
        parse_one("# mine\n"
                  "account salma   # the first\n"
                  "  address          salma@barid.test\n"
                  "  real-name        \"Salma \\\"S\\\" \\\\ سلمى\"\n"
                  "  receive          pop3\n"
                  "  imap             imap.barid.test\n"
                  "\tpop3\tpop.barid.test\t110\n"
                  "  smtp             smtp.barid.test starttls\n"
                  "  user             s#1\n"
                  "  password-command pass show \"mail/my box\" #the rest\n"
                  "  ca-file          /etc/ca.pem\n"
                  "  maildir          ~/Mail/salma\n"
                  "  layout           maildir++\n"
                  "  folders          INBOX !Spam \"Two Words\"\n"
                  "  days             90\n"
                  "  message-size-max 20M\n"
                  "  after-fetch      delete-after 14\n"
                  "  server-size-max  1G\n"
                  "  skip-header      Subject \"[ads] \"\n"
                  "  skip-header      List-Id news\n"
                  "  deliver-lmtp     localhost:24\n"
                  "  sent-copy        server\n"
                  "  compress         no",
            &accounts);
    assert_string_equal(a->name, "salma");
    assert_string_equal(a->address, "salma@barid.test");
    assert_string_equal(a->real_name, "Salma \"S\" \\ سلمى");
    assert_int_equal(a->receive, CLIENT_RECEIVE_POP3);
    assert_string_equal(a->imap.host, "imap.barid.test");
    assert_int_equal(a->imap.port, 993);
    assert_int_equal(a->imap.security, CLIENT_TLS);
    assert_int_equal(a->pop3.port, 110);
    assert_int_equal(a->pop3.security, CLIENT_STARTTLS);
    assert_int_equal(a->smtp.port, 587);
    assert_int_equal(a->smtp.security, CLIENT_STARTTLS);
    assert_string_equal(a->user, "s#1");
    assert_int_equal(client_strings_count(a->password_command), 3);
    assert_string_equal(a->password_command[2], "mail/my box");
    assert_string_equal(a->ca_file, "/etc/ca.pem");
    assert_string_equal(a->maildir, "/home/salma/Mail/salma");
    assert_int_equal(a->layout, CLIENT_MAILDIR_PLUS);
    assert_int_equal(a->compress, CLIENT_COMPRESS_NO);
    assert_int_equal(client_strings_count(a->folders), 3);
    assert_int_equal(a->days, 90);
    assert_true(a->message_bytes_max == 20u << 20);
    assert_int_equal(a->keep, CLIENT_DELETE_AFTER);
    assert_int_equal(a->keep_days, 14);
    assert_true(a->server_bytes_max == 1u << 30);
    assert_int_equal(client_strings_count(a->skip_headers), 4);
    assert_string_equal(a->skip_headers[1], "[ads] ");
    assert_string_equal(a->skip_headers[2], "List-Id");
    assert_string_equal(a->deliver_lmtp, "localhost:24");
    assert_int_equal(a->sent_copy, CLIENT_SENT_SERVER);
    assert_int_equal(a->line, 2);
    assert_int_equal(a->line_end, 23);
    client_accounts_done(&accounts);
}

static void test_defaults_and_line_ends(void **state)
{
    (void)state;
    struct client_accounts accounts;
    const struct client_account *a = parse_one("\xef\xbb\xbf\r\naccount s\r\n"
                                               "\r\n  address s@x.test\r\n  maildir \"/a b\"\r\n"
                                               "  imap بريد.إختبار\r\n",
        &accounts);
    assert_string_equal(a->user, "s@x.test");
    assert_string_equal(a->maildir, "/a b");
    assert_string_equal(a->imap.host, "xn--ngbof4h.xn--kgbechtv");
    assert_int_equal(a->receive, CLIENT_RECEIVE_IMAP);
    assert_int_equal(a->keep, CLIENT_KEEP);
    assert_null(a->real_name);
    assert_null(a->folders);
    assert_int_equal(a->sent_copy, CLIENT_SENT_APPEND);
    client_accounts_done(&accounts);

    assert_ok(parse("", &accounts, NULL));
    assert_int_equal(accounts.count, 0);
    assert_null(client_accounts_find(&accounts, NULL));
    client_accounts_done(&accounts);
}

static void test_servers(void **state)
{
    (void)state;
    static const struct {
        const char *line, *host;
        int port;
        enum client_security security;
    } rows[] = {
        { "imap h", "h", 993, CLIENT_TLS },
        { "imap h 143", "h", 143, CLIENT_STARTTLS },
        { "imap h 143 tls", "h", 143, CLIENT_TLS },
        { "imap h 4000", "h", 4000, CLIENT_TLS },
        { "imap h 993 starttls", "h", 993, CLIENT_STARTTLS },
        { "imap h starttls", "h", 143, CLIENT_STARTTLS },
        { "imap localhost 1143 none", "localhost", 1143, CLIENT_PLAIN },
        { "imap 127.9.9.9 none", "127.9.9.9", 143, CLIENT_PLAIN },
        { "imap ::1 none", "::1", 143, CLIENT_PLAIN },
        { "imap 2001:db8::1", "2001:db8::1", 993, CLIENT_TLS },
        { "imap /run/imap none", "/run/imap", 143, CLIENT_PLAIN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        struct client_accounts accounts;
        snprintf(text, sizeof text, HEAD "%s\n", rows[i].line);
        const struct client_account *a = parse_one(text, &accounts);
        if (strcmp(a->imap.host, rows[i].host) != 0 || a->imap.port != rows[i].port ||
            a->imap.security != rows[i].security)
            fail_msg("%s: got %s %d %d", rows[i].line, a->imap.host, a->imap.port,
                (int)a->imap.security);
        client_accounts_done(&accounts);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int line;
    } rows[] = {
        { "keyword before a block", "address a@b\n", 1 },
        { "unknown keyword", HEAD "colour red\n", 3 },
        { "keyword in capitals", HEAD "Imap h\n", 3 },
        { "twice", HEAD "user a\nuser b\n", 4 },
        { "no address", "account a\n\nimap h\n", 1 },
        { "issuer without TLS", HEAD "oauth-issuer http://a.test\n", 3 },
        { "issuer with a query", HEAD "oauth-issuer https://a.test/?b\n", 3 },
        { "endpoint that is none", HEAD "oauth-token-url javascript:x\n", 3 },
        { "client id alone", HEAD "oauth-client-id a\n", 1 },
        { "scope alone", HEAD "oauth-scope a\n", 1 },
        { "endpoint without a page", HEAD "oauth-token-url https://a.test/t\n", 1 },
        { "secret without a client id",
            HEAD "oauth-issuer https://a.test\noauth-client-secret-file /s\n", 1 },
        { "two secrets of a client",
            HEAD "oauth-issuer https://a.test\noauth-client-id a\noauth-client-secret-file /s\n"
                 "oauth-client-secret-command s\n",
            1 },
        { "issuer and password", HEAD "oauth-issuer https://a.test\npassword-file /p\n", 1 },
        { "issuer and token", HEAD "oauth-issuer https://a.test\ntoken-command t\n", 1 },
        { "no address, not the last block", "account a\naccount b\n  address b@x\n", 1 },
        { "same name", HEAD "account salma\n address b@x\n", 3 },
        { "account without name", "account\n", 1 },
        { "account with path", "account a/b\n", 1 },
        { "account with dots", "account ..\n", 1 },
        { "account like an option", "account -a\n", 1 },
        { "account that turns the line",
            "account a\xe2\x80\xae"
            "b\n",
            1 },
        { "password in the file", HEAD "password secret\n", 3 },
        { "address without @", "account a\naddress salma\n", 2 },
        { "address with two", "account a\naddress a@b@c\n", 2 },
        { "address in brackets", "account a\naddress <a@b>\n", 2 },
        { "value missing", HEAD "user\n", 3 },
        { "value empty", HEAD "user \"\"\n", 3 },
        { "two values", HEAD "user a b\n", 3 },
        { "quote not closed", HEAD "user \"a\n", 3 },
        { "quote inside", HEAD "user a\"b\"\n", 3 },
        { "text behind a quote", HEAD "user \"a\"b\n", 3 },
        { "backslash in quotes", HEAD "user \"a\\n\"\n", 3 },
        { "single quotes", HEAD "password-command sh -c 'a b'\n", 3 },
        { "control character", HEAD "user a\001\n", 3 },
        { "bare CR", HEAD "user a\rb\n", 3 },
        { "no UTF-8", HEAD "user \xff\n", 3 },
        { "relative path", HEAD "maildir Mail\n", 3 },
        { "quoted tilde", HEAD "maildir \"~/Mail\"\n", 3 },
        { "plain far away", HEAD "imap imap.example.org none\n", 3 },
        { "port 0", HEAD "imap h 0\n", 3 },
        { "port 65536", HEAD "imap h 65536\n", 3 },
        { "unknown security", HEAD "imap h 993 ssl\n", 3 },
        { "no host name", HEAD "imap http://h/\n", 3 },
        { "days 0", HEAD "days 0\n", 3 },
        { "days too many", HEAD "days 36501\n", 3 },
        { "size without number", HEAD "message-size-max M\n", 3 },
        { "size past 2^64", HEAD "message-size-max 99999999999G\n", 3 },
        { "delete-after without days", HEAD "after-fetch delete-after\n", 3 },
        { "delete with days", HEAD "after-fetch delete 3\n", 3 },
        { "no choice", HEAD "receive nntp\n", 3 },
        { "flag with value", HEAD "secret-service yes\n", 3 },
        { "two secrets", HEAD "secret-service\npassword-file /x\n", 1 },
        { "two deliveries", HEAD "deliver-mbox /x\ndeliver-command a\n", 1 },
        { "LMTP far away", HEAD "deliver-lmtp mx.example.org:24\n", 3 },
        { "LMTP without port", HEAD "deliver-lmtp localhost\n", 3 },
        { "field name with a colon", HEAD "skip-header Subject: x\n", 3 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client_accounts accounts = { 0 };
        struct err_note note = { "" };
        char where[40];
        enum err e = parse(rows[i].text, &accounts, &note);
        snprintf(where, sizeof where, "accounts.conf:%d: ", rows[i].line);
        if (e != ERR_SYNTAX)
            fail_msg("%s: got %s", rows[i].name, err_name(e));
        if (strncmp(note.text, where, strlen(where)) != 0)
            fail_msg("%s: %s", rows[i].name, note.text);
        assert_null(accounts.all);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct buf text;
    struct client_accounts accounts;
    buf_init(&text, 0);
    for (unsigned i = 0; i < CLIENT_ACCOUNTS_MAX; i++)
        buf_addf(&text, "account a%u\naddress a%u@x.test\n", i, i);
    assert_ok(client_accounts_parse(buf_slice(&text), "f", NULL, &accounts, NULL));
    assert_int_equal(accounts.count, CLIENT_ACCOUNTS_MAX);
    client_accounts_done(&accounts);
    buf_adds(&text, "account more\naddress more@x.test\n");
    assert_err(ERR_SYNTAX, client_accounts_parse(buf_slice(&text), "f", NULL, &accounts, NULL));
    buf_clear(&text);
    buf_adds(&text, HEAD "folders");
    for (unsigned i = 1; i < CLIENT_WORDS_MAX; i++)
        buf_adds(&text, " f");
    assert_ok(client_accounts_parse(buf_slice(&text), "f", NULL, &accounts, NULL));
    client_accounts_done(&accounts);
    buf_adds(&text, " f");
    assert_err(ERR_SYNTAX, client_accounts_parse(buf_slice(&text), "f", NULL, &accounts, NULL));
    buf_clear(&text);
    while (buf_len(&text) <= CLIENT_ACCOUNTS_BYTES_MAX)
        buf_adds(&text, "# nothing in this line but a comment\n");
    assert_err(ERR_LIMIT, client_accounts_parse(buf_slice(&text), "f", NULL, &accounts, NULL));
    buf_done(&text);
}

static void test_find(void **state)
{
    (void)state;
    struct client_accounts accounts;
    assert_ok(parse(
        "account home\naddress work@x.test\naccount work\naddress home@x.test\n", &accounts, NULL));
    assert_string_equal(client_accounts_find(&accounts, NULL)->name, "home");
    assert_string_equal(client_accounts_find(&accounts, "")->name, "home");
    assert_string_equal(client_accounts_find(&accounts, "work")->name, "work");
    assert_string_equal(client_accounts_find(&accounts, "Home@X.test")->name, "work");
    assert_null(client_accounts_find(&accounts, "nobody"));
    client_accounts_done(&accounts);
}

static void test_writes_only_what_it_reads(void **state)
{
    (void)state;
    static char name[] = "a", address[] = "a@x.test", user[] = "two\nlines", good[] = "one";
    struct client_account account = { .name = name, .address = address, .user = user };
    struct buf out;
    buf_init(&out, 0);
    assert_err(ERR_SYNTAX, client_account_write(&account, &out, NULL));
    assert_int_equal(buf_len(&out), 0);
    account.user = good;
    assert_ok(client_account_write(&account, &out, NULL));
    assert_slice("written", buf_slice(&out), SLICE("account a\n  address a@x.test\n  user one\n"));
    buf_done(&out);
}

/* ---- the file ---- */

struct place {
    char folder[64], path[128];
};

static int make_place(void **state)
{
    static struct place place;
    snprintf(place.folder, sizeof place.folder, "/tmp/barid-account-XXXXXX");
    assert_non_null(mkdtemp(place.folder));
    snprintf(place.path, sizeof place.path, "%s/conf/accounts.conf", place.folder);
    *state = &place;
    return 0;
}

static int drop_place(void **state)
{
    struct place *place = *state;
    char name[160];
    static const char *const names[] = { "conf/accounts.conf", "conf/other", "real",
        "state/barid/salma" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s/%s", place->folder, names[i]);
        (void)remove(name);
    }
    static const char *const folders[] = { "conf", "state/barid", "state", "." };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(name, sizeof name, "%s/%s", place->folder, folders[i]);
        (void)rmdir(name);
    }
    (void)rmdir(place->folder);
    return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void assert_file(const char *path, const char *wanted)
{
    char text[2000];
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t got = read(fd, text, sizeof text);
    assert_true(got >= 0);
    close(fd);
    assert_slice(path, slice_from(text, (size_t)got), slice_of(wanted));
}

static struct client_account account_named(char *name, char *address)
{
    return (struct client_account){ .name = name, .address = address, .user = address };
}

static void test_add_and_remove(void **state)
{
    struct place *place = *state;
    static char one[] = "one", one_at[] = "one@x.test", two[] = "two", two_at[] = "two@x.test";
    struct client_account first = account_named(one, one_at), second = account_named(two, two_at);
    struct err_note note = { "" };
    struct stat st;
    assert_ok(client_accounts_add(place->path, &first, &note));
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_ok(client_accounts_add(place->path, &second, &note));
    assert_err(ERR_EXISTS, client_accounts_add(place->path, &second, &note));
    second.name = one_at; /* another name, the same address */
    assert_err(ERR_EXISTS, client_accounts_add(place->path, &second, &note));
    assert_file(
        place->path, "account one\n  address one@x.test\n\naccount two\n  address two@x.test\n");

    put(place->path,
        "# a\naccount one\n  address one@x.test # b\n# c\n  days 3\n\n# d\naccount two\n"
        "  address two@x.test",
        0600);
    assert_err(ERR_NOT_FOUND, client_accounts_remove(place->path, "three", &note));
    assert_err(ERR_NOT_FOUND, client_accounts_remove(place->path, "", &note));
    assert_ok(client_accounts_remove(place->path, "one", &note));
    assert_file(place->path, "# a\n\n# d\naccount two\n  address two@x.test");
    assert_ok(client_accounts_add(place->path, &first, &note));
    assert_file(place->path,
        "# a\n\n# d\naccount two\n  address two@x.test\n\naccount one\n  address one@x.test\n");
    put(place->path, "nonsense\n", 0600);
    assert_err(ERR_SYNTAX, client_accounts_add(place->path, &first, &note));
    assert_file(place->path, "nonsense\n");
}

/* What could not be read again would take all accounts with it. */
static void test_add_the_last(void **state)
{
    struct place *place = *state;
    static char name[] = "last", address[] = "last@x.test";
    struct client_account last = account_named(name, address);
    struct client_accounts there;
    struct err_note note = { "" };
    struct buf text;
    buf_init(&text, 0);
    for (unsigned i = 0; i < CLIENT_ACCOUNTS_MAX; i++)
        buf_addf(&text, "account a%u\n  address a%u@x.test\n", i, i);
    buf_addc(&text, '\0');
    assert_ok(client_accounts_add(place->path, &last, &note)); /* makes the folder */
    put(place->path, buf_slice(&text).ptr, 0600);
    assert_err(ERR_LIMIT, client_accounts_add(place->path, &last, &note));
    assert_ok(client_accounts_read(place->path, &there, &note));
    client_accounts_done(&there);
    buf_clear(&text);
    while (buf_len(&text) < CLIENT_ACCOUNTS_BYTES_MAX - 20)
        buf_adds(&text, "# nine\n");
    buf_addc(&text, '\0');
    put(place->path, buf_slice(&text).ptr, 0600);
    assert_err(ERR_LIMIT, client_accounts_add(place->path, &last, &note));
    assert_ok(client_accounts_read(place->path, &there, &note));
    client_accounts_done(&there);
    buf_done(&text);
}

static void test_who_may_write(void **state)
{
    struct place *place = *state;
    static const struct {
        mode_t mode;
        enum err wanted;
    } rows[] = { { 0600, ERR_OK }, { 0400, ERR_OK }, { 0644, ERR_OK }, { 0620, ERR_DENIED },
        { 0602, ERR_DENIED }, { 0666, ERR_DENIED } };
    char other[160], folder[160];
    struct client_accounts accounts;
    struct err_note note = { "" };
    snprintf(folder, sizeof folder, "%s/conf", place->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_err(ERR_NOT_FOUND, client_accounts_read(place->path, &accounts, &note));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put(place->path, HEAD, rows[i].mode);
        enum err e = client_accounts_read(place->path, &accounts, &note);
        if (e != rows[i].wanted)
            fail_msg("mode %o: got %s", (unsigned)rows[i].mode, err_name(e));
        if (!e)
            client_accounts_done(&accounts);
        assert_int_equal(chmod(place->path, 0600), 0);
    }
    /* a link counts as what it leads to, and stays a link when the file changes */
    snprintf(other, sizeof other, "%s/real", place->folder);
    assert_int_equal(rename(place->path, other), 0);
    assert_int_equal(symlink(other, place->path), 0);
    put(other, HEAD, 0666);
    assert_err(ERR_DENIED, client_accounts_read(place->path, &accounts, &note));
    put(other, HEAD, 0600);
    static char one[] = "one", one_at[] = "one@x.test";
    struct client_account first = account_named(one, one_at);
    struct stat st;
    assert_ok(client_accounts_add(place->path, &first, &note));
    assert_int_equal(lstat(place->path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file(other, HEAD "\naccount one\n  address one@x.test\n");
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(mkfifo(place->path, 0600), 0); /* refused, not waited for */
    assert_err(ERR_DENIED, client_accounts_read(place->path, &accounts, &note));
    assert_err(ERR_DENIED, client_accounts_read(folder, &accounts, &note));
}

static void test_paths(void **state)
{
    struct place *place = *state;
    char state_home[128], wanted[160];
    char *path = NULL;
    struct stat st;
    snprintf(state_home, sizeof state_home, "%s/state", place->folder);
    setenv("XDG_CONFIG_HOME", "/c", 1);
    path = client_accounts_path();
    assert_string_equal(path, "/c/barid/accounts.conf");
    free(path);
    setenv("XDG_CONFIG_HOME", "relative", 1); /* the XDG rule: not absolute, not there */
    setenv("HOME", "/h", 1);
    path = client_accounts_path();
    assert_string_equal(path, "/h/.config/barid/accounts.conf");
    free(path);
    setenv("XDG_STATE_HOME", state_home, 1);
    assert_ok(client_state_folder("salma", &path, NULL));
    snprintf(wanted, sizeof wanted, "%s/barid/salma", state_home);
    assert_string_equal(path, wanted);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    free(path);
    assert_int_equal(chmod(wanted, 0777), 0);
    assert_err(ERR_DENIED, client_state_folder("salma", &path, NULL));
    assert_err(ERR_SYNTAX, client_state_folder("../x", &path, NULL));
    assert_err(ERR_SYNTAX, client_state_folder("", &path, NULL));
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    unsetenv("XDG_CONFIG_HOME");
    assert_null(client_accounts_path());
    assert_err(ERR_NOT_FOUND, client_state_folder("salma", &path, NULL));
}

#define AT_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

TEST_MAIN(cmocka_unit_test(test_every_keyword), cmocka_unit_test(test_oauth),
    cmocka_unit_test(test_defaults_and_line_ends), cmocka_unit_test(test_servers),
    cmocka_unit_test(test_refused), cmocka_unit_test(test_limits), cmocka_unit_test(test_find),
    cmocka_unit_test(test_writes_only_what_it_reads), AT_A_PLACE(test_add_and_remove),
    AT_A_PLACE(test_add_the_last), AT_A_PLACE(test_who_may_write), AT_A_PLACE(test_paths))
