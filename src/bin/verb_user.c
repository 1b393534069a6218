/* The user and passwd verbs. Every change goes to directory.db first and is told to the server afterwards: what the server is not told
 * about (it does not run, the socket is in the way) it sees in the file at the next login all the same. */
#include "bin/verb_user.h"

#include "auth/device.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "bin/json.h"
#include "bin/user_input.h"
#include "bin/verb_user_int.h"
#include "proto/sasl/sasl.h"
#include "server/core/data_dir.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IMPORT_BYTES_MAX (64u << 20)
#define SERVICES_NEW                                                                               \
    (USER_IMAP | USER_SUBMISSION) /* POP3 takes mail away: only where it is asked for */

/* ---- opening ---- */

int users_open(const struct cli *cli, struct users *out_users)
{
    struct users users = { 0 };
    struct err_note note = { "" };
    char file[sizeof users.config->data_dir + 32];
    if (cli_config(cli, &users.config))
        return EX_CONFIG;
    snprintf(file, sizeof file, "%s/directory.db", users.config->data_dir);
    enum err e = data_dir_make(users.config, &note);
    if (!e)
        e = directory_open(file, true, &users.directory, &note);
    if (e) {
        cli_error_text(note.text);
        config_unref(users.config);
        return cli_exit_code(e);
    }
    *out_users = users;
    return EX_OK;
}

void users_close(struct users *users)
{
    directory_close(users->directory);
    config_unref(users->config);
}

int users_failed(enum err e, const char *address)
{
    const char *at = strrchr(address, '@');
    switch (e) {
    case ERR_SYNTAX:
    case ERR_LIMIT:
        cli_error(MSG_ADDRESS_BAD, address);
        return EX_DATAERR;
    case ERR_NOT_FOUND:
        cli_error(MSG_NO_SUCH_USER, address);
        return EX_NOUSER;
    case ERR_EXISTS:
        cli_error(MSG_USER_EXISTS, address);
        return EX_CANTCREAT;
    case ERR_DENIED:
        cli_error(MSG_DOMAIN_UNKNOWN, at ? at + 1 : address, at ? at + 1 : address);
        return EX_DATAERR;
    default:
        cli_error(MSG_FAILED, err_words(e));
        return cli_exit_code(e);
    }
}

void users_tell_server(const struct users *users, const struct user *user)
{
    char line[USER_ID_BYTES + 32];
    snprintf(line, sizeof line, "user-changed %s\n", user->id);
    (void)!cli_notify_server(users->config, line);
}

/* The words that are no options go to the front of argv[2..]; *out_count is their number. */
static enum err split(int argc, char **argv, struct user_switches *switches, int *out_count)
{
    int words = 2;
    for (int at = 2; at < argc;) {
        if (strncmp(argv[at], "--", 2) == 0) {
            TRY(user_parse_switch(argc, argv, &at, switches));
        } else {
            char *word = argv[at++];
            argv[words++] = word;
        }
    }
    *out_count = words - 2;
    return ERR_OK;
}

/* ---- add ---- */

/* All or none: a typing error in the third address does not leave two users behind. */
static int add_all(
    struct users *users, const struct user_switches *switches, char **addresses, size_t count)
{
    struct password_source source;
    if (password_source_open(&source, switches->password_file))
        return EX_NOINPUT;
    struct user_new *rows = mem_zalloc(count, sizeof *rows);
    struct buf *passwords = mem_zalloc(count, sizeof *passwords);
    int code = EX_OK;
    for (size_t i = 0; i < count && !code; i++) {
        struct user there;
        char canonical[USER_NAME_BYTES_MAX + 1];
        enum err e = address_canonical(slice_of(addresses[i]), canonical);
        /* before anybody types a password for nothing */
        if (!e &&
            !directory_domain_is_local(users->directory, slice_of(strchr(canonical, '@') + 1)))
            e = ERR_DENIED;
        if (!e && directory_user(users->directory, slice_of(canonical), &there) == ERR_OK)
            e = ERR_EXISTS;
        if (e)
            code = users_failed(e, addresses[i]);
        else if (password_source_next(&source, addresses[i], &passwords[i]))
            code = EX_DATAERR;
        rows[i] = (struct user_new){ .address = slice_of(addresses[i]), .services = SERVICES_NEW };
        rows[i].password = buf_slice(&passwords[i]);
        user_apply_switches(
            switches, &rows[i].services, &rows[i].quota_bytes, &rows[i].quota_messages);
    }
    if (!code) {
        size_t at = count;
        enum err e = directory_users_add_rows(users->directory, rows, count, &at);
        if (e)
            code =
                users_failed(e == ERR_NOT_FOUND ? ERR_DENIED : e, at < count ? addresses[at] : "");
    }
    for (size_t i = 0; i < count; i++) {
        if (!code)
            cli_say(MSG_USER_ADDED, addresses[i]);
        sasl_buf_wipe(&passwords[i]);
    }
    free(passwords);
    free(rows);
    password_source_close(&source);
    return code;
}

static int user_add(
    struct users *users, const struct user_switches *switches, char **words, int count)
{
    if (count == 0) {
        cli_error(MSG_ADDRESS_NEEDED, "user add");
        return EX_USAGE;
    }
    return add_all(users, switches, words, (size_t)count);
}

/* ---- import ---- */

static bool read_whole(FILE *file, struct buf *out)
{
    struct stat st;
    size_t step = 64u << 10;
    /* one piece when the size is known: growing would leave copies of passwords behind */
    if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size < (off_t)IMPORT_BYTES_MAX)
        step = (size_t)st.st_size + 1;
    for (;;) {
        char *room = buf_room(out, step);
        size_t got = room ? fread(room, 1, step, file) : 0;
        buf_wrote(out, got);
        if (got < step)
            return room != NULL && !ferror(file);
    }
}

struct import {
    struct user_new *rows;
    unsigned *lines; /* where each row came from */
    size_t count, cap;
};

static void import_done(struct import *import)
{
    free(import->rows); /* slices only: the secrets are in the file's buffer */
    free(import->lines);
}

/* The number of the first line that cannot be read, or 0. */
static unsigned import_read(
    struct import *import, const struct user_switches *switches, struct slice text)
{
    struct slice line;
    for (unsigned number = 1; slice_cut(&text, '\n', &line); number++) {
        struct user_line user;
        enum user_line_kind kind = user_parse_line(line, &user);
        if (kind == USER_LINE_BAD)
            return number;
        if (kind == USER_LINE_NOTHING)
            continue;
        if (import->count == import->cap) {
            import->cap = import->cap ? import->cap * 2 : 256;
            import->rows = mem_realloc(import->rows, import->cap * sizeof *import->rows);
            import->lines = mem_realloc(import->lines, import->cap * sizeof *import->lines);
        }
        struct user_new *row = &import->rows[import->count];
        *row = (struct user_new){ .address = user.address,
            .password = user.password,
            .imported_hash = user.hash,
            .services = SERVICES_NEW };
        user_apply_switches(switches, &row->services, &row->quota_bytes, &row->quota_messages);
        import->lines[import->count++] = number;
    }
    return 0;
}

static enum message_id import_reason(enum err e, const struct user_new *row)
{
    char canonical[USER_NAME_BYTES_MAX + 1];
    switch (e) {
    case ERR_NOT_FOUND:
        return MSG_IMPORT_BAD_DOMAIN;
    case ERR_EXISTS:
        return MSG_IMPORT_BAD_TWICE;
    case ERR_LIMIT:
        return MSG_IMPORT_BAD_LIMIT;
    default:
        return address_canonical(row->address, canonical) ? MSG_IMPORT_BAD_ADDRESS
                                                          : MSG_IMPORT_BAD_PASSWORD;
    }
}

static int import_text(
    struct users *users, const struct user_switches *switches, const char *name, struct slice text)
{
    struct import import = { 0 };
    unsigned bad = import_read(&import, switches, text);
    int code = EX_OK;
    if (bad) {
        cli_error(MSG_IMPORT_LINE, name, bad, tr(MSG_IMPORT_BAD_LINE));
        code = EX_DATAERR;
    } else if (import.count == 0) {
        cli_error(MSG_IMPORT_EMPTY, name);
        code = EX_DATAERR;
    } else {
        size_t at = import.count;
        enum err e = directory_users_add_rows(users->directory, import.rows, import.count, &at);
        bool row_is_bad =
            e == ERR_NOT_FOUND || e == ERR_EXISTS || e == ERR_LIMIT || e == ERR_SYNTAX;
        if (e && row_is_bad && at < import.count) {
            cli_error(
                MSG_IMPORT_LINE, name, import.lines[at], tr(import_reason(e, &import.rows[at])));
            code = EX_DATAERR;
        } else if (e) {
            cli_error(MSG_FAILED, err_words(e));
            code = cli_exit_code(e);
        } else {
            cli_say(MSG_IMPORT_DONE, (unsigned)import.count);
        }
    }
    import_done(&import);
    return code;
}

static int user_import(
    struct users *users, const struct user_switches *switches, char **words, int count)
{
    if (count != 1) {
        fprintf(stderr, "%s\n", tr(MSG_USER_USAGE));
        return EX_USAGE;
    }
    bool input = strcmp(words[0], "-") == 0;
    FILE *file = input ? stdin : fopen(words[0], "rce");
    if (!file) {
        cli_error(MSG_FILE_FAILED, words[0], strerror(errno));
        return EX_NOINPUT;
    }
    struct buf text;
    int code;
    setvbuf(file, NULL, _IONBF, 0);
    buf_init(&text, IMPORT_BYTES_MAX);
    if (read_whole(file, &text)) {
        code = import_text(users, switches, words[0], buf_slice(&text));
    } else if (ferror(file)) {
        cli_error(MSG_FILE_FAILED, words[0], strerror(errno));
        code = EX_IOERR;
    } else {
        cli_error(MSG_IMPORT_TOO_LARGE, words[0]);
        code = EX_DATAERR;
    }
    sasl_buf_wipe(&text);
    if (!input)
        fclose(file);
    return code;
}

/* ---- list and show ---- */

/* "2.0G", "unlimited". */
static void size_text(uint64_t bytes, char *out, size_t out_bytes)
{
    static const char units[] = "KMGT";
    if (bytes == 0) {
        snprintf(out, out_bytes, "%s", tr(MSG_WORD_UNLIMITED));
        return;
    }
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < sizeof units - 1; unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(out, out_bytes, "%" PRIu64, bytes);
    else
        snprintf(out, out_bytes, "%.4g%c", value, units[unit - 1]);
}

static void print_user_json(const struct user *user)
{
    printf("{\"address\":");
    json_print(slice_of(user->address));
    printf(",\"id\":\"%s\",\"disabled\":%s,\"imap\":%s,\"pop\":%s,\"submission\":%s,\"quota_"
           "bytes\":%" PRIu64 ",\"quota_messages\":%" PRIu64 ",\"created\":%" PRId64 "}",
        user->id, user->disabled ? "true" : "false", user->services & USER_IMAP ? "true" : "false",
        user->services & USER_POP3 ? "true" : "false",
        user->services & USER_SUBMISSION ? "true" : "false", user->quota_bytes,
        user->quota_messages, user->created_s);
}

static int user_list(struct users *users, bool json, char **words, int count)
{
    struct arena arena;
    struct user *list;
    size_t user_count;
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    enum err e = directory_users(
        users->directory, slice_of(count > 0 ? words[0] : ""), &arena, &list, &user_count);
    if (e) {
        arena_done(&arena);
        if (count > 0 && (e == ERR_NOT_FOUND || e == ERR_SYNTAX || e == ERR_LIMIT)) {
            cli_error(MSG_DOMAIN_UNKNOWN, words[0], words[0]);
            return EX_DATAERR;
        }
        return users_failed(e, "");
    }
    if (json)
        printf("[");
    for (size_t i = 0; i < user_count; i++) {
        const struct user *user = &list[i];
        if (json) {
            printf("%s", i ? ",\n " : "");
            print_user_json(user);
            continue;
        }
        char quota[32];
        size_text(user->quota_bytes, quota, sizeof quota);
        printf("%-40s %-4s %-4s %-10s %-10s %s\n", user->address,
            user->services & USER_IMAP ? "imap" : "-", user->services & USER_POP3 ? "pop" : "-",
            user->services & USER_SUBMISSION ? "submission" : "-", quota,
            user->disabled ? tr(MSG_WORD_DISABLED) : "");
    }
    if (json)
        printf("]\n");
    else if (user_count == 0)
        cli_say(MSG_USER_NONE);
    arena_done(&arena);
    return EX_OK;
}

static const char *on_off(const struct user *user, enum user_service service)
{
    return tr(user->services & service ? MSG_WORD_ON : MSG_WORD_OFF);
}

static int user_show(struct users *users, bool json, const char *address)
{
    struct user user;
    enum err e = directory_user(users->directory, slice_of(address), &user);
    if (e)
        return users_failed(e, address);
    if (json) {
        print_user_json(&user);
        printf("\n");
        return EX_OK;
    }
    char quota[32], messages[32], created[32], folder[sizeof users->config->data_dir + 64];
    size_text(user.quota_bytes, quota, sizeof quota);
    if (user.quota_messages)
        snprintf(messages, sizeof messages, "%" PRIu64, user.quota_messages);
    else
        snprintf(messages, sizeof messages, "%s", tr(MSG_WORD_UNLIMITED));
    (void)cli_time(user.created_s, created, sizeof created);
    snprintf(folder, sizeof folder, "%s/accounts/%s", users->config->data_dir, user.id);
    cli_say(MSG_USER_SHOW_ADDRESS, user.address);
    cli_say(MSG_USER_SHOW_STATE, tr(user.disabled ? MSG_WORD_DISABLED : MSG_WORD_ACTIVE));
    cli_say(MSG_USER_SHOW_IMAP, on_off(&user, USER_IMAP));
    cli_say(MSG_USER_SHOW_POP, on_off(&user, USER_POP3));
    cli_say(MSG_USER_SHOW_SUBMISSION, on_off(&user, USER_SUBMISSION));
    cli_say(MSG_USER_SHOW_QUOTA, quota);
    cli_say(MSG_USER_SHOW_QUOTA_MESSAGES, messages);
    cli_say(MSG_USER_SHOW_CREATED, created);
    cli_say(MSG_USER_SHOW_FOLDER, folder);
    return EX_OK;
}

/* ---- changing ---- */

static int user_set(struct users *users, const struct user_switches *switches, const char *address)
{
    struct user user;
    if (!switches->services_on && !switches->services_off && !switches->has_bytes &&
        !switches->has_messages) {
        autofree char *word = cli_word(address);
        cli_error(MSG_USER_NOTHING_TO_SET, word);
        return EX_USAGE;
    }
    enum err e = directory_user(users->directory, slice_of(address), &user);
    if (!e) {
        user_apply_switches(switches, &user.services, &user.quota_bytes, &user.quota_messages);
        e = directory_user_set(users->directory, &user);
    }
    if (e)
        return users_failed(e, address);
    users_tell_server(users, &user);
    cli_say(MSG_USER_CHANGED, user.address);
    return EX_OK;
}

static int user_disable(struct users *users, bool disable, const char *address)
{
    struct user user;
    enum err e = directory_user(users->directory, slice_of(address), &user);
    if (!e) {
        user.disabled = disable;
        e = directory_user_set(users->directory, &user);
    }
    if (e)
        return users_failed(e, address);
    users_tell_server(users, &user);
    autofree char *word = cli_word(user.address);
    if (disable)
        cli_say(MSG_USER_DISABLED, user.address, word);
    else
        cli_say(MSG_USER_ENABLED, user.address);
    return EX_OK;
}

static bool is_sure(const char *address)
{
    char answer[16] = "";
    if (!isatty(STDIN_FILENO)) {
        cli_error(MSG_USER_REMOVE_NEEDS_YES);
        return false;
    }
    cli_say(MSG_USER_REMOVE_ASK, address);
    printf("%s", tr(MSG_USER_REMOVE_PROMPT));
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) &&
        slice_eq_nocase(slice_trim(slice_of(answer)), SLICE("yes")))
        return true;
    cli_say(MSG_USER_REMOVE_NOT);
    return false;
}

/* The server has the account open, so it removes the folder; without a server we do. */
static enum err remove_mail(const struct users *users, const struct user *user, const char *folder)
{
    char line[USER_ID_BYTES + 32];
    struct stat st;
    struct store *store;
    snprintf(line, sizeof line, "user-removed %s\n", user->id);
    if (cli_notify_server(users->config, line))
        return ERR_OK;
    if (stat(folder, &st) != 0 && errno == ENOENT) /* nothing ever came */
        return ERR_OK;
    TRY(store_open(&(struct store_options){ .root = users->config->data_dir }, &store, NULL));
    enum err e = store_account_remove(store, slice_of(user->id));
    store_close(store);
    return e;
}

static int user_remove(
    struct users *users, const struct user_switches *switches, const char *address)
{
    struct user user;
    enum err e = directory_user(users->directory, slice_of(address), &user);
    if (e)
        return users_failed(e, address);
    if (!switches->yes && !is_sure(user.address))
        return EX_NOPERM;
    e = directory_user_remove(users->directory, slice_of(address), &user);
    if (e)
        return users_failed(e, address);
    char folder[sizeof users->config->data_dir + 64];
    snprintf(folder, sizeof folder, "%s/accounts/%s", users->config->data_dir, user.id);
    e = remove_mail(users, &user, folder);
    if (e && e != ERR_NOT_FOUND) {
        cli_error(MSG_USER_MAIL_KEPT, user.address, folder, err_words(e));
        return EX_TEMPFAIL;
    }
    cli_say(MSG_USER_REMOVED, user.address);
    return EX_OK;
}

/* ---- verbs ---- */

static int user_usage(void)
{
    fprintf(stderr, "%s\n", tr(MSG_USER_USAGE));
    return EX_USAGE;
}

static bool is_one_address_verb(const char *what)
{
    static const char *const names[] = { "show", "set", "disable", "enable", "remove" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(what, names[i]) == 0)
            return true;
    return false;
}

static int with_one_address(struct users *users, bool json, const struct user_switches *switches,
    const char *what, const char *address)
{
    if (strcmp(what, "show") == 0)
        return user_show(users, json, address);
    if (strcmp(what, "set") == 0)
        return user_set(users, switches, address);
    if (strcmp(what, "remove") == 0)
        return user_remove(users, switches, address);
    return user_disable(users, strcmp(what, "disable") == 0, address);
}

int verb_user(const struct cli *cli, int argc, char **argv)
{
    struct user_switches switches = { 0 };
    struct users users;
    int count = 0;
    if (argc < 2)
        return user_usage();
    const char *what = argv[1];
    bool one = is_one_address_verb(what), add = strcmp(what, "add") == 0,
         list = strcmp(what, "list") == 0, import = strcmp(what, "import") == 0;
    if (!one && !add && !list && !import)
        return user_usage();
    if (split(argc, argv, &switches, &count))
        return EX_USAGE;
    if (one && count == 0) {
        char verb[32];
        snprintf(verb, sizeof verb, "user %s", what);
        cli_error(MSG_ADDRESS_NEEDED, verb);
        return EX_USAGE;
    }
    if ((one && count != 1) || (list && count > 1))
        return user_usage();
    int code = users_open(cli, &users);
    if (code)
        return code;
    char **words = argv + 2;
    if (one)
        code = with_one_address(&users, cli->json, &switches, what, words[0]);
    else if (add)
        code = user_add(&users, &switches, words, count);
    else if (list)
        code = user_list(&users, cli->json, words, count);
    else
        code = user_import(&users, &switches, words, count);
    users_close(&users);
    return code;
}

/* Who changes a password because somebody has it should know what else opens the mailbox. */
static void tell_of_app_passwords(const struct users *users, const struct user *user)
{
    struct arena arena;
    struct device *list;
    size_t count;
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    autofree char *word = cli_word(user->address);
    if (directory_devices(users->directory, user, &arena, &list, &count) == ERR_OK && count > 1)
        cli_say(MSG_PASSWORD_APPS_STAY, word);
    arena_done(&arena);
}

static int change_password(
    struct users *users, const struct user_switches *switches, const char *address)
{
    struct user user;
    struct password_source source;
    struct buf password;
    enum err e = directory_user(users->directory, slice_of(address), &user);
    if (e)
        return users_failed(e, address);
    if (password_source_open(&source, switches->password_file))
        return EX_NOINPUT;
    int code = EX_OK;
    if (password_source_next(&source, user.address, &password)) {
        code = EX_DATAERR;
    } else {
        e = directory_user_password(users->directory, slice_of(address), buf_slice(&password));
        if (e)
            code = users_failed(e, address);
    }
    sasl_buf_wipe(&password);
    password_source_close(&source);
    if (code)
        return code;
    users_tell_server(users, &user);
    cli_say(MSG_PASSWORD_CHANGED, user.address);
    tell_of_app_passwords(users, &user);
    return EX_OK;
}

int verb_passwd(const struct cli *cli, int argc, char **argv)
{
    struct user_switches switches = { 0 };
    struct users users;
    const char *address = NULL;
    for (int at = 1; at < argc;) {
        if (strncmp(argv[at], "--", 2) == 0) {
            if (user_parse_switch(argc, argv, &at, &switches))
                return EX_USAGE;
        } else if (address) {
            fprintf(stderr, "%s\n", tr(MSG_PASSWD_USAGE));
            return EX_USAGE;
        } else {
            address = argv[at++];
        }
    }
    if (!address) {
        cli_error(MSG_ADDRESS_NEEDED, "passwd");
        return EX_USAGE;
    }
    int code = users_open(cli, &users);
    if (code)
        return code;
    code = change_password(&users, &switches, address);
    users_close(&users);
    return code;
}
