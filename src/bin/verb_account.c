/* The account verb. Adding finds the servers, asks what only the person knows, tries the login, and then writes a few lines:
 *
 *     address ─► search (or --imap, --pop3, --smtp) ─► whom to trust ─► IMAP or POP3? ─► password, or the provider's page ─► login ─► accounts.conf
 *
 * Nothing is written before the login worked, and no password goes to a server that was not checked. */
#include "bin/verb_account.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "bin/client_imap.h"
#include "bin/discover_show.h"
#include "bin/json.h"
#include "bin/oauth_person.h"
#include "bin/user_input.h"
#include "client/core/oauth_login.h"
#include "client/core/remember.h"
#include "client/core/secret.h"
#include "client/core/word.h"
#include "client/pop3/popc.h"
#include "net/dns.h"
#include "proto/sasl/sasl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 16 /* of a person: "imap", "y" */

struct words {
    const char *address, *name, *receive, *maildir, *password_file, *ca_file;
    const char *servers[DISCOVER_PROTOCOLS]; /* HOST[:PORT[:SECURITY]], instead of searching */
    const char *oauth_issuer, *oauth_client_id, *oauth_secret_file, *oauth_scope;
    struct discover_options search;
    bool yes, no_login, oauth, browser;
};

/* ---- words ---- */

static const struct {
    const char *option;
    size_t field;
} options[] = {
    { "--name", offsetof(struct words, name) },
    { "--receive", offsetof(struct words, receive) },
    { "--maildir", offsetof(struct words, maildir) },
    { "--password-file", offsetof(struct words, password_file) },
    { "--ca-file", offsetof(struct words, ca_file) },
    { "--oauth-issuer", offsetof(struct words, oauth_issuer) },
    { "--oauth-client-id", offsetof(struct words, oauth_client_id) },
    { "--oauth-client-secret-file", offsetof(struct words, oauth_secret_file) },
    { "--oauth-scope", offsetof(struct words, oauth_scope) },
    { "--imap", offsetof(struct words, servers) + DISCOVER_IMAP * sizeof(char *) },
    { "--pop3", offsetof(struct words, servers) + DISCOVER_POP3 * sizeof(char *) },
    { "--smtp", offsetof(struct words, servers) + DISCOVER_SMTP * sizeof(char *) },
    { "--resolver", offsetof(struct words, search) + offsetof(struct discover_options, resolver) },
};

static int read_option(struct words *words, int argc, char **argv, int *at)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(argv[*at], options[i].option) != 0)
            continue;
        if (++*at == argc) {
            cli_error(MSG_OPTION_NEEDS_VALUE, options[i].option);
            return EX_USAGE;
        }
        *(const char **)((char *)words + options[i].field) = argv[*at];
        return EX_OK;
    }
    cli_error(MSG_UNKNOWN_OPTION, argv[*at]);
    return EX_USAGE;
}

/* A dot behind it is of DNS, or ends the sentence that it was copied from (as discover() takes it). */
static const char *address_of(char *word)
{
    size_t len = strlen(word);
    if (len > 0 && word[len - 1] == '.')
        word[len - 1] = '\0';
    return word;
}

static int read_words(struct words *words, int argc, char **argv)
{
    for (int at = 2; at < argc; at++) {
        int code = EX_OK;
        if (strcmp(argv[at], "--yes") == 0)
            words->yes = true;
        else if (strcmp(argv[at], "--no-login") == 0)
            words->no_login = true;
        else if (strcmp(argv[at], "--oauth") == 0)
            words->oauth = true;
        else if (strcmp(argv[at], "--browser") == 0)
            words->browser = true;
        else if (argv[at][0] != '-' && !words->address)
            words->address = address_of(argv[at]);
        else
            code = read_option(words, argc, argv, &at);
        if (code)
            return code;
    }
    words->search.ca_file = words->ca_file;
    if (!words->address) {
        cli_error(MSG_ADDRESS_NEEDED, "account add");
        return EX_USAGE;
    }
    if (words->search.resolver && !dns_is_resolver(words->search.resolver)) {
        cli_error(MSG_DISCOVER_BAD_RESOLVER);
        return EX_USAGE;
    }
    if (words->receive && strcmp(words->receive, "imap") != 0 &&
        strcmp(words->receive, "pop3") != 0) {
        cli_error(MSG_ACCOUNT_RECEIVE_BAD);
        return EX_USAGE;
    }
    return EX_OK;
}

/* ---- asking ---- */

static bool has_person(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* One line of the person, without its end; "" at the end of input. */
static void ask(enum message_id question, char out[ANSWER_BYTES_MAX])
{
    fputs(tr(question), stderr);
    fputc(' ', stderr);
    if (!fgets(out, ANSWER_BYTES_MAX, stdin))
        out[0] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
}

static bool says_yes(const char *answer)
{
    return ascii_lower(answer[0]) == 'y' || strncmp(answer, "ن", 2) == 0;
}

/* ---- servers ---- */

/* HOST[:PORT[:SECURITY]] becomes a line of accounts.conf, whose parser knows the rest. An IPv6 address stands in [...] (RFC 3986 §3.2.2). */
static void add_server(struct buf *text, const char *keyword, const char *value)
{
    const char *end = value[0] == '[' ? strchr(value, ']') : NULL;
    buf_addf(text, "  %s ", keyword);
    if (end) {
        buf_add(text, slice_from(value + 1, (size_t)(end - value) - 1));
        value = end + 1;
    }
    for (const char *c = value; *c; c++)
        buf_addc(text, *c == ':' ? ' ' : *c);
    buf_addc(text, '\n');
}

static const char *const keywords[DISCOVER_PROTOCOLS] = { "imap", "pop3", "smtp" };

static void add_found(struct buf *text, const struct discover_result *result, int protocol)
{
    const struct discover_server *server =
        discover_best(result, (enum discover_protocol)protocol, true);
    if (server)
        buf_addf(text, "  %s %.*s %d %s\n", keywords[protocol], SLICE_FMT(server->host),
            server->port, server->security == DISCOVER_TLS ? "tls" : "starttls");
}

/* A server of another domain is nobody's until the person says so. */
static int confirm(const struct words *words, const struct discover_result *result)
{
    char answer[ANSWER_BYTES_MAX];
    bool foreign = false;
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        const struct discover_server *server =
            discover_best(result, (enum discover_protocol)i, true);
        foreign |= server && server->foreign && !words->servers[i];
    }
    if (!foreign || words->yes)
        return EX_OK;
    if (!has_person()) {
        cli_error(MSG_ACCOUNT_FOREIGN_YES);
        return EX_NOPERM;
    }
    ask(MSG_ACCOUNT_FOREIGN_ASK, answer);
    return says_yes(answer) ? EX_OK : EX_NOPERM;
}

/* ---- IMAP or POP3 ---- */

static int choose_receive(
    const struct words *words, bool has_imap, bool has_pop3, const char **out_receive)
{
    char answer[ANSWER_BYTES_MAX];
    *out_receive = words->receive ? words->receive : has_imap || !has_pop3 ? "imap" : "pop3";
    bool wants_pop = strcmp(*out_receive, "pop3") == 0;
    if (wants_pop ? !has_pop3 : !has_imap) {
        cli_error(MSG_DISCOVER_MISSING, wants_pop ? "POP3" : "IMAP");
        return EX_UNAVAILABLE;
    }
    if (words->receive || !has_imap || !has_pop3 || words->yes || !has_person())
        return EX_OK;
    fprintf(stderr, "%s\n", tr(MSG_ACCOUNT_CHOICE));
    ask(MSG_ACCOUNT_CHOICE_ASK, answer);
    if (ascii_lower(answer[0]) == 'p' || answer[0] == '2')
        *out_receive = "pop3";
    return EX_OK;
}

/* ---- the password ---- */

/* Where the password of an account is kept that was typed; the caller's. */
static char *secret_path(const char *conf, const char *name)
{
    const char *slash = strrchr(conf, '/');
    char *path = NULL;
    if (asprintf(&path, "%.*s/secrets/%s", slash ? (int)(slash - conf) : 0, conf, name) < 0)
        abort();
    return path;
}

/* In a file of its own that only its owner can read, beside accounts.conf: on the disk before that names it. *out_path is the caller's. */
static int keep_password(const char *conf, const char *name, struct slice password, char **out_path)
{
    char *path = secret_path(conf, name);
    autofree char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    autoclose int fd = -1, folder_fd = -1;
    if (dir_make_path(folder) == ERR_OK)
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = folder_fd >= 0 && write(fd, password.ptr, password.len) == (ssize_t)password.len &&
              write(fd, "\n", 1) == 1 && fsync(fd) == 0 && fsync(folder_fd) == 0;
    if (!ok) {
        cli_error(MSG_ACCOUNT_SECRET_FAILED, path, strerror(errno));
        if (fd >= 0)
            (void)unlink(path);
        free(path);
        return EX_CANTCREAT;
    }
    *out_path = path;
    return EX_OK;
}

/* A file that the account will name: as it will be read each time. */
static bool names_file(const struct words *words)
{
    return words->password_file && strcmp(words->password_file, "-") != 0;
}

static int read_password_file(const char *path, struct buf *out)
{
    struct err_note note = { "" };
    if (client_secret_of_file(path, out, &note) == ERR_OK)
        return EX_OK;
    cli_error_text(note.text);
    return EX_NOINPUT;
}

/* EX_OK, or the exit code after saying why. A person is asked once: the login will tell whether it was right. */
static int read_password(const struct words *words, struct client_use *use)
{
    struct password_source source;
    if (!words->password_file && has_person())
        return client_use_secret(use);
    if (names_file(words))
        return read_password_file(words->password_file, &use->secret);
    if (password_source_open(&source, words->password_file) != ERR_OK)
        return EX_NOINPUT;
    enum err e = password_source_next(&source, words->address, &use->secret);
    password_source_close(&source);
    return e == ERR_OK ? EX_OK : EX_NOINPUT;
}

/* ---- the login ---- */

static int try_imap(struct client_use *use)
{
    struct imapc *imap = NULL;
    struct client_failure failure;
    enum err e = client_imap_open(use, &imap, &failure);
    imapc_close(imap);
    return e == ERR_OK ? EX_OK : client_say_failure(use, &use->account->imap, &failure);
}

static int try_pop3(struct client_use *use)
{
    struct popc *popc = NULL;
    struct client_failure failure = { .why = CLIENT_WHY_NONE };
    struct popc_options how = {
        .account = use->account, .secret = buf_slice(&use->secret), .token = use->token
    };
    enum err e = popc_open(&how, &popc, &failure);
    if (e == ERR_OK && popc_mechanism(popc) &&
        client_remember(use->state_folder, "pop3", &use->account->pop3, popc_mechanism(popc),
            &failure.note) != ERR_OK)
        failure.why = CLIENT_WHY_STATE;
    popc_close(popc);
    return failure.why == CLIENT_WHY_NONE ? EX_OK
                                          : client_say_failure(use, &use->account->pop3, &failure);
}

static int try_login(struct client_use *use)
{
    struct err_note note = { "" };
    if (client_state_folder(use->account->name, &use->state_folder, &note) != ERR_OK) {
        cli_error_text(note.text);
        return EX_CANTCREAT;
    }
    return use->account->receive == CLIENT_RECEIVE_POP3 ? try_pop3(use) : try_imap(use);
}

/* ---- the provider's page ---- */

/* Whether this is the way to log in: asked for, or the only one. An app password that was given is one too. */
static bool wants_oauth(
    const struct words *words, const struct discover_result *result, const char *receive)
{
    if (words->oauth || words->oauth_issuer || words->oauth_client_id)
        return true;
    if (!result || words->password_file)
        return false;
    bool pop = strcmp(receive, "pop3") == 0;
    const struct discover_server *server =
        discover_best(result, pop ? DISCOVER_POP3 : DISCOVER_IMAP, true);
    for (size_t i = 0; i < result->note_count; i++)
        if (result->notes[i].id == DISCOVER_OAUTH_ONLY)
            return true;
    return server && server->auth == DISCOVER_OAUTH2;
}

static void add_line(struct buf *text, const char *keyword, struct slice value)
{
    if (!value.len)
        return;
    buf_addf(text, "  %s ", keyword);
    client_word_write(value, text);
    buf_addc(text, '\n');
}

static void add_scope(struct buf *text, struct slice scope)
{
    struct slice rest = slice_trim(scope), word;
    if (!rest.len)
        return;
    buf_adds(text, "  oauth-scope");
    while (slice_cut(&rest, ' ', &word)) {
        if (!word.len)
            continue;
        buf_addc(text, ' ');
        client_word_write(word, text);
    }
    buf_addc(text, '\n');
}

/* The lines of accounts.conf. EX_OK, or the exit code after saying what is missing. */
static int write_oauth(
    struct buf *text, const struct words *words, const struct discover_result *result)
{
    struct discover_oauth found = { .issuer = SLICE_EMPTY };
    if (result && !words->oauth_issuer)
        found = result->oauth;
    if (words->oauth_issuer)
        found.issuer = slice_of(words->oauth_issuer);
    if (found.issuer.len == 0 && found.token_url.len == 0) {
        cli_error(MSG_ACCOUNT_OAUTH_UNKNOWN);
        return EX_CONFIG;
    }
    if (found.token_url.len && !words->oauth_client_id) { /* these give none to programs */
        cli_error(MSG_ACCOUNT_OAUTH_CLIENT, words->address);
        return EX_CONFIG;
    }
    add_line(text, "oauth-issuer", found.token_url.len ? SLICE_EMPTY : found.issuer);
    add_line(text, "oauth-authorization-url", found.authorization_url);
    add_line(text, "oauth-token-url", found.token_url);
    add_line(text, "oauth-device-url", found.device_url);
    add_line(text, "oauth-client-id", slice_of(words->oauth_client_id));
    add_scope(text, words->oauth_scope ? slice_of(words->oauth_scope) : found.scope);
    if (words->oauth_secret_file) {
        autofree char *path = realpath(words->oauth_secret_file, NULL);
        add_line(
            text, "oauth-client-secret-file", slice_of(path ? path : words->oauth_secret_file));
    }
    return EX_OK;
}

/* ---- writing ---- */

/* The block as text; the parser of accounts.conf makes the account of it, so that what is written is what it reads. */
static void write_block(struct buf *text, const struct words *words,
    const struct discover_result *result, const char *name, const char *receive)
{
    struct slice user = SLICE_EMPTY;
    buf_addf(text, "account %s\n  address %s\n  receive %s\n", name, words->address, receive);
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        const struct discover_server *server =
            result ? discover_best(result, (enum discover_protocol)i, true) : NULL;
        if (words->servers[i])
            add_server(text, keywords[i], words->servers[i]);
        else if (result)
            add_found(text, result, i);
        if (server && user.len == 0)
            user = server->user;
    }
    if (user.len && !slice_eq(user, slice_of(words->address)))
        add_line(text, "user", user);
    if (words->ca_file)
        add_line(text, "ca-file", slice_of(words->ca_file));
    if (words->maildir)
        add_line(text, "maildir", slice_of(words->maildir));
    else
        buf_addf(text, "  maildir ~/Mail/%s\n", name);
    if (result && result->files_sent_copy)
        buf_adds(text, "  sent-copy server\n");
}

static void say_added(
    const struct words *words, const struct client_account *account, const char *conf)
{
    bool pop = account->receive == CLIENT_RECEIVE_POP3;
    autofree char *word = cli_word(account->name);
    if (words->no_login)
        cli_say(MSG_ACCOUNT_ADDED_UNTRIED, account->name, conf, pop ? "fetch" : "sync", word);
    else
        cli_say(pop ? MSG_ACCOUNT_ADDED_POP3 : MSG_ACCOUNT_ADDED_IMAP, account->name, conf, word);
}

/* The login at the provider's page; what it gave is gone again when the account is not added. */
static int add_by_page(const struct words *words, const char *conf, struct client_account *account)
{
    struct err_note note = { "" };
    struct client_use use = { .account = account };
    buf_init(&use.secret, 0);
    int code = words->no_login ? EX_OK : oauth_person_login(account, words->browser);
    bool kept = !code && !words->no_login;
    if (kept)
        code = client_use_secret(&use);
    if (kept && !code)
        code = try_login(&use);
    if (!code && client_accounts_add(conf, account, &note) != ERR_OK) {
        cli_error_text(note.text);
        code = EX_CANTCREAT;
    }
    if (kept && code)
        client_oauth_forget(account);
    if (!code)
        say_added(words, account, conf);
    sasl_buf_wipe(&use.secret);
    free(use.state_folder);
    return code;
}

static int add_checked(const struct words *words, const char *conf, struct client_account *account)
{
    struct err_note note = { "" };
    struct client_use use = { .account = account };
    buf_init(&use.secret, 0);
    int code = words->no_login && !words->password_file ? EX_OK : read_password(words, &use);
    if (!code && !words->no_login)
        code = try_login(&use);
    bool by_file = names_file(words);
    if (!code && by_file)
        account->password_file = realpath(words->password_file, NULL);
    else if (!code && buf_len(&use.secret))
        code = keep_password(conf, account->name, buf_slice(&use.secret), &account->password_file);
    if (!code && client_accounts_add(conf, account, &note) != ERR_OK) {
        cli_error_text(note.text);
        if (!by_file && account->password_file)
            (void)unlink(account->password_file);
        code = EX_CANTCREAT;
    }
    if (!code)
        say_added(words, account, conf);
    sasl_buf_wipe(&use.secret);
    free(use.state_folder);
    return code;
}

/* A name of the account that is none yet: the local part, or "mail" where that is no plain word; else the address, else "mail-2" and so on. What is kept under a name that
 * another account has would be that account's. */
static const char *name_of(
    const struct words *words, const struct client_accounts *there, char out[64])
{
    size_t len = strcspn(words->address, "@");
    bool plain = len > 0 && len < 64 && words->address[0] != '.';
    for (size_t i = 0; plain && i < len; i++) {
        char c = ascii_lower(words->address[i]);
        plain =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    }
    if (words->name)
        return words->name;
    (void)snprintf(out, 64, "%.*s", plain ? (int)len : 63, plain ? words->address : "mail");
    if (!client_accounts_find(there, out))
        return out;
    if (client_account_name_ok(slice_of(words->address)))
        return words->address;
    for (unsigned number = 2; client_accounts_find(there, out); number++)
        (void)snprintf(out, 64, "mail-%u", number);
    return out;
}

static int add_found_servers(const struct words *words, const struct discover_result *result,
    const char *conf, const struct client_accounts *there)
{
    char short_name[64];
    const char *receive;
    bool has[DISCOVER_PROTOCOLS];
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++)
        has[i] =
            words->servers[i] || (result && discover_best(result, (enum discover_protocol)i, true));
    int code = result ? confirm(words, result) : EX_OK;
    if (!code)
        code = choose_receive(words, has[DISCOVER_IMAP], has[DISCOVER_POP3], &receive);
    if (code)
        return code;
    struct buf text;
    struct client_accounts parsed = { 0 };
    struct err_note note = { "" };
    buf_init(&text, 0);
    write_block(&text, words, result, name_of(words, there, short_name), receive);
    bool oauth = wants_oauth(words, result, receive);
    if (oauth)
        code = write_oauth(&text, words, result);
    enum err e =
        client_accounts_parse(buf_slice(&text), words->address, getenv("HOME"), &parsed, &note);
    if (e != ERR_OK)
        cli_error_text(note.text);
    if (!code)
        code = e != ERR_OK ? EX_USAGE
                           : (oauth ? add_by_page : add_checked)(words, conf, &parsed.all[0]);
    client_accounts_done(&parsed);
    buf_done(&text);
    return code;
}

static bool all_given(const struct words *words)
{
    return words->servers[DISCOVER_IMAP] || words->servers[DISCOVER_POP3];
}

static int add(const struct words *words, const char *conf, const struct client_accounts *there)
{
    struct arena arena;
    struct discover_result result;
    struct err_note note = { "" };
    if (client_accounts_find(there, words->address) ||
        (words->name && client_accounts_find(there, words->name))) {
        cli_error(MSG_ACCOUNT_EXISTS, words->address, conf);
        return EX_USAGE;
    }
    if (all_given(words))
        return add_found_servers(words, NULL, conf, there);
    arena_init(&arena, DISCOVER_ARENA_BYTES_MAX);
    enum err e = discover(&words->search, slice_of(words->address), &arena, &result, &note);
    int code = EX_USAGE;
    if (e == ERR_SYNTAX) {
        cli_error(MSG_DISCOVER_BAD_ADDRESS);
    } else if (e != ERR_OK) {
        cli_error(MSG_DISCOVER_FAILED, note.text);
        code = EX_OSERR;
    } else {
        discover_show(&result, false, &arena);
        code = discover_exit_code(&result);
        if (code && !discover_is_closed(&result))
            discover_show_failure(&result, &arena, false);
        if (!code)
            code = add_found_servers(words, &result, conf, there);
    }
    arena_done(&arena);
    return code;
}

/* ---- list, login, remove ---- */

/* How the account logs in, as one word for --json. */
static const char *login_word(const struct client_account *account)
{
    if (client_uses_oauth(account))
        return "oauth";
    if (account->token_command)
        return "token-command";
    if (account->password_command)
        return "password-command";
    if (account->password_file)
        return "password-file";
    return account->secret_service ? "secret-service" : "ask";
}

static enum message_id login_text(const struct client_account *account)
{
    static const struct {
        const char *word;
        enum message_id text;
    } rows[] = {
        { "oauth", MSG_ACCOUNT_BY_PAGE },
        { "token-command", MSG_ACCOUNT_BY_TOKEN },
        { "password-command", MSG_ACCOUNT_BY_COMMAND },
        { "password-file", MSG_ACCOUNT_BY_FILE },
        { "secret-service", MSG_ACCOUNT_BY_KEY_RING },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(login_word(account), rows[i].word) == 0)
            return rows[i].text;
    return MSG_ACCOUNT_BY_ASKING;
}

static void print_server(const char *name, const struct client_server *server)
{
    static const char *const security[] = { "tls", "starttls", "none" };
    if (server->host)
        printf(
            "    %s  %s  %d  %s\n", name, server->host, server->port, security[server->security]);
}

static void json_server(const char *name, const struct client_server *server)
{
    static const char *const security[] = { "tls", "starttls", "none" };
    printf(",\"%s\":", name);
    if (!server->host) {
        printf("null");
        return;
    }
    printf("{\"host\":");
    json_print(slice_of(server->host));
    printf(",\"port\":%d,\"security\":\"%s\"}", server->port, security[server->security]);
}

static void json_account(const struct client_account *account)
{
    printf("{\"name\":");
    json_print(slice_of(account->name));
    printf(",\"address\":");
    json_print(slice_of(account->address));
    printf(",\"receive\":\"%s\"", account->receive == CLIENT_RECEIVE_POP3 ? "pop3" : "imap");
    json_server("imap", &account->imap);
    json_server("pop3", &account->pop3);
    json_server("smtp", &account->smtp);
    printf(",\"maildir\":");
    if (account->maildir)
        json_print(slice_of(account->maildir));
    else
        printf("null");
    printf(",\"login\":\"%s\"}", login_word(account));
}

static int list(const struct cli *cli, const struct client_accounts *there, const char *conf)
{
    if (cli->json) {
        printf("[");
        for (size_t i = 0; i < there->count; i++) {
            printf("%s", i ? ",\n" : "");
            json_account(&there->all[i]);
        }
        printf("]\n");
        return EX_OK;
    }
    for (size_t i = 0; i < there->count; i++) {
        const struct client_account *account = &there->all[i];
        printf("%s  %s  (%s)\n", account->name, account->address,
            account->receive == CLIENT_RECEIVE_POP3 ? "POP3" : "IMAP");
        print_server("IMAP", &account->imap);
        print_server("POP3", &account->pop3);
        print_server("SMTP", &account->smtp);
        printf("    %s\n", tr(login_text(account)));
    }
    if (there->count == 0)
        cli_say(MSG_ACCOUNT_NONE, conf);
    return EX_OK;
}

static int remove_one(const struct client_accounts *there, const char *conf, const char *name)
{
    struct err_note note = { "" };
    const struct client_account *account = client_accounts_find(there, name);
    if (!account) {
        cli_error(MSG_CLIENT_NO_ACCOUNT, name, conf);
        return EX_USAGE;
    }
    if (client_accounts_remove(conf, account->name, &note) != ERR_OK) {
        cli_error_text(note.text);
        return EX_CANTCREAT;
    }
    if (client_uses_oauth(account))
        client_oauth_forget(account);
    autofree char *secret = secret_path(conf, account->name);
    if (account->password_file && strcmp(account->password_file, secret) == 0)
        (void)unlink(secret); /* we made it; a file of the person's own stays */
    cli_say(MSG_ACCOUNT_REMOVED, account->name, account->maildir ? account->maildir : "-");
    return EX_OK;
}

static int login_again(
    const struct client_accounts *there, const char *conf, const char *name, bool browser)
{
    const struct client_account *account = client_accounts_find(there, name);
    if (!account) {
        cli_error(MSG_CLIENT_NO_ACCOUNT, name, conf);
        return EX_USAGE;
    }
    if (!client_uses_oauth(account)) {
        cli_error(MSG_ACCOUNT_NO_PAGE, account->name);
        return EX_CONFIG;
    }
    int code = oauth_person_login(account, browser);
    if (!code)
        cli_say(MSG_ACCOUNT_LOGGED_IN, account->name);
    return code;
}

/* ---- the verb ---- */

static int dispatch(const struct cli *cli, int argc, char **argv, const char *conf,
    const struct client_accounts *there)
{
    struct words words = { 0 };
    if (argc >= 2 && strcmp(argv[1], "add") == 0) {
        int code = read_words(&words, argc, argv);
        return code ? code : add(&words, conf, there);
    }
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list(cli, there, conf);
    bool browser = argc == 4 && strcmp(argv[3], "--browser") == 0;
    if ((argc == 3 || browser) && strcmp(argv[1], "login") == 0)
        return login_again(there, conf, argv[2], browser);
    if (argc == 3 && strcmp(argv[1], "remove") == 0)
        return remove_one(there, conf, argv[2]);
    fprintf(stderr, "%s\n", tr(MSG_ACCOUNT_USAGE));
    return EX_USAGE;
}

int verb_account(const struct cli *cli, int argc, char **argv)
{
    struct client_accounts there = { 0 };
    struct err_note note = { "" };
    autofree char *conf = client_accounts_path();
    if (!conf) {
        cli_error(MSG_CLIENT_NO_HOME);
        return EX_CONFIG;
    }
    enum err e = client_accounts_read(conf, &there, &note);
    int code = EX_CONFIG;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        cli_error_text(note.text);
    else
        code = dispatch(cli, argc, argv, conf, &there);
    client_accounts_done(&there);
    return code;
}
