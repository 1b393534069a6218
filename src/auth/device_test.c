/* App passwords and devices in directory.db: what one looks like, where it may be used, who has which, what was seen of them; files of the
 * format before them; backups. */
#include "auth/app_password.h"
#include "auth/directory_fixture_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;

static int setup(void **state)
{
    struct directory *d = directory_begin();
    assert_ok(directory_domain_add(d, SLICE("barid.test"), NULL));
    arena_init(&arena, 1 << 20);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    arena_done(&arena);
    return directory_end(*state);
}

static struct user add_user(struct directory *d, const char *address)
{
    struct user_new wanted = { .address = slice_of(address),
        .imported_hash = SLICE(HASH),
        .services = USER_IMAP | USER_POP3 };
    struct user user;
    assert_ok(directory_users_add(d, &wanted, 1, NULL));
    assert_ok(directory_user(d, slice_of(address), &user));
    return user;
}

static enum err add(struct directory *d, const struct user *user, const char *name, int64_t *device)
{
    char text[APP_PASSWORD_TEXT_BYTES + 1];
    struct app_password_new wanted = { .name = slice_of(name), .services = USER_IMAP };
    return directory_app_password_add(d, user, &wanted, text, device);
}

static size_t devices_of(struct directory *d, const struct user *user, struct device **list)
{
    size_t count = 0;
    assert_ok(directory_devices(d, user, &arena, list, &count));
    assert_true(count > 0);
    assert_int_equal((*list)[0].id, 0);
    return count;
}

/* ---- text ---- */

static const struct text_row {
    const char *name;
    struct slice text;
    bool fits;
} text_rows[] = {
    { "as shown", SLICE_CONST("abcd-efgh-ijkm-npqr"), true },
    { "without dashes", SLICE_CONST("abcdefghijkmnpqr"), true },
    { "capitals and blanks", SLICE_CONST(" ABCD EFGH IJKM NPQR "), true },
    { "dashes anywhere", SLICE_CONST("--a-bcdefghijkmnpqr-"), true },
    { "digits", SLICE_CONST("2345-6789-stuv-wxyz"), true },
    { "one missing", SLICE_CONST("abcd-efgh-ijkm-npq"), false },
    { "one more", SLICE_CONST("abcd-efgh-ijkm-npqra"), false },
    { "small L", SLICE_CONST("lbcd-efgh-ijkm-npqr"), false },
    { "one", SLICE_CONST("1bcd-efgh-ijkm-npqr"), false },
    { "small O", SLICE_CONST("obcd-efgh-ijkm-npqr"), false },
    { "zero", SLICE_CONST("0bcd-efgh-ijkm-npqr"), false },
    { "underscore", SLICE_CONST("abcd_efgh_ijkm_npqr"), false },
    { "tab", SLICE_CONST("abcd\tefgh-ijkm-npqr"), false },
    { "NUL behind it", SLICE_CONST("abcd-efgh-ijkm-npqr\0"), false },
    { "another script", SLICE_CONST("аbcd-efgh-ijkm-npqr"), false },
    { "empty", SLICE_CONST(""), false },
    { "dashes", SLICE_CONST("----------------"), false },
};

static void test_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof text_rows / sizeof *text_rows; i++) {
        char out[APP_PASSWORD_CHARS + 1] = "untouched";
        bool fits = app_password_canonical(text_rows[i].text, out);
        if (fits != text_rows[i].fits)
            fail_msg("%s: %d", text_rows[i].name, fits);
        if (fits)
            assert_int_equal(strlen(out), APP_PASSWORD_CHARS);
        else
            assert_string_equal(out, "untouched");
    }
    /* all 32 characters come up, and no two are the same */
    char last[APP_PASSWORD_TEXT_BYTES + 1] = "";
    bool seen[256] = { false };
    unsigned kinds = 0;
    for (int i = 0; i < 500; i++) {
        char text[APP_PASSWORD_TEXT_BYTES + 1], canonical[APP_PASSWORD_CHARS + 1];
        app_password_make(text);
        assert_int_equal(strlen(text), APP_PASSWORD_TEXT_BYTES);
        assert_true(text[4] == '-' && text[9] == '-' && text[14] == '-');
        assert_true(app_password_canonical(slice_of(text), canonical));
        assert_string_not_equal(text, last);
        memcpy(last, text, sizeof last);
        for (const char *c = canonical; *c; c++) {
            kinds += !seen[(unsigned char)*c];
            seen[(unsigned char)*c] = true;
        }
    }
    assert_int_equal(kinds, 32);
    unsigned char one[APP_PASSWORD_HASH_BYTES], two[APP_PASSWORD_HASH_BYTES];
    unsigned char salt[SCRAM_SALT_BYTES] = { 0 };
    app_password_hash(salt, "abcdefghijkmnpqr", one);
    app_password_hash(salt, "abcdefghijkmnpqs", two);
    assert_memory_not_equal(one, two, sizeof one);
    salt[0] = 1;
    app_password_hash(salt, "abcdefghijkmnpqr", two);
    assert_memory_not_equal(one, two, sizeof one);
}

static const struct network_row {
    const char *text, *canonical; /* NULL: ERR_SYNTAX */
    const char *in, *out;
} network_rows[] = {
    { "192.0.2.0/24", "192.0.2.0/24", "192.0.2.255", "192.0.3.0" },
    { "192.0.2.77/24", "192.0.2.0/24", "192.0.2.1", "191.0.2.1" },
    { "192.0.2.128/25", "192.0.2.128/25", "192.0.2.128", "192.0.2.127" },
    { "192.0.2.7", "192.0.2.7/32", "192.0.2.7", "192.0.2.8" },
    { "0.0.0.0/0", "0.0.0.0/0", "203.0.113.9", "2001:db8::1" },
    { " 192.0.2.0/24 , 2001:DB8::/32 ", "192.0.2.0/24,2001:db8::/32", "2001:db8:ffff::1",
        "2001:db9::1" },
    { "2001:db8:0:0:1::5/64", "2001:db8::/64", "2001:db8::ffff", "2001:db8:0:1::" },
    { "::1", "::1/128", "::1", "::2" },
    { "::ffff:192.0.2.7/120", "192.0.2.0/24", "192.0.2.9", "192.0.3.9" },
    { "127.0.0.0/8", "127.0.0.0/8", "127.9.9.9", "unix" },
    { "192.0.2.0/33", NULL, NULL, NULL },
    { "2001:db8::/129", NULL, NULL, NULL },
    { "::ffff:192.0.2.7/95", NULL, NULL, NULL },
    { "192.0.2.0/", NULL, NULL, NULL },
    { "192.0.2.0/-1", NULL, NULL, NULL },
    { "192.0.2/24", NULL, NULL, NULL },
    { "192.0.2.0/24,", NULL, NULL, NULL },
    { ",192.0.2.0/24", NULL, NULL, NULL },
    { "192.0.2.0/24,,::1", NULL, NULL, NULL },
    { "192.0.2.0/24 ::1", NULL, NULL, NULL },
    { "localhost", NULL, NULL, NULL },
    { "", NULL, NULL, NULL },
    { "/", NULL, NULL, NULL },
};

static void test_networks(void **state)
{
    (void)state;
    char out[NETWORKS_BYTES_MAX + 1], again[NETWORKS_BYTES_MAX + 1];
    for (size_t i = 0; i < sizeof network_rows / sizeof *network_rows; i++) {
        const struct network_row *row = &network_rows[i];
        enum err e = networks_canonical(slice_of(row->text), out);
        if (e != (row->canonical ? ERR_OK : ERR_SYNTAX))
            fail_msg("%s: %s", row->text, err_name(e));
        if (e)
            continue;
        assert_string_equal(out, row->canonical);
        assert_ok(networks_canonical(slice_of(out), again));
        assert_string_equal(again, out);
        if (!networks_have(slice_of(out), row->in) || networks_have(slice_of(out), row->out))
            fail_msg("%s: who is in", row->text);
    }
    /* the most there may be, of the longest there are, and one more */
    char text[1024] = "";
    size_t len = 0;
    for (unsigned i = 0; i <= APP_PASSWORD_NETWORKS_MAX; i++) {
        if (i == APP_PASSWORD_NETWORKS_MAX)
            assert_ok(networks_canonical(slice_of(text), out));
        len += (size_t)snprintf(text + len, sizeof text - len,
            "%s1001:1002:1003:1004:1005:1006:1007:100%x/128", i ? "," : "", i);
    }
    assert_true(networks_have(slice_of(out), "1001:1002:1003:1004:1005:1006:1007:1009"));
    assert_err(ERR_LIMIT, networks_canonical(slice_of(text), out));
}

static void test_names(void **state)
{
    (void)state;
    char out[APP_PASSWORD_NAME_BYTES_MAX + 1], text[APP_PASSWORD_NAME_BYTES_MAX + 2];
    assert_ok(device_name_canonical(SLICE("  My phone "), out));
    assert_string_equal(out, "My phone");
    assert_ok(device_name_canonical(SLICE("cafe\xcc\x81"), out));
    assert_string_equal(out, "caf\xc3\xa9");
    assert_ok(device_name_canonical(SLICE("هاتف سلمى"), out));
    assert_ok(device_name_canonical(SLICE("\xc2\xa0x\xc2\xa0"), out)); /* no-break spaces */
    assert_string_equal(out, "x");
    static const struct slice bad[] = { SLICE_CONST(""), SLICE_CONST(" "), SLICE_CONST("\xc2\xa0"),
        SLICE_CONST("a\nb"), SLICE_CONST("a\0b"), SLICE_CONST("\x1b[31m"),
        SLICE_CONST("a\xe2\x80\xae"), SLICE_CONST("\xff") };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_err(ERR_SYNTAX, device_name_canonical(bad[i], out));
    memset(text, 'x', sizeof text);
    assert_ok(device_name_canonical(slice_from(text, APP_PASSWORD_NAME_BYTES_MAX), out));
    assert_err(ERR_LIMIT, device_name_canonical(slice_from(text, sizeof text), out));
}

/* ---- the directory ---- */

static void test_add_and_revoke(void **state)
{
    struct directory *d = *state;
    struct user salma = add_user(d, "salma@barid.test"), omar = add_user(d, "omar@barid.test");
    struct app_password_new wanted = { .name = SLICE(" phone "),
        .services = USER_POP3 | 64,
        .expires_s = 5000000000,
        .networks = SLICE("192.0.2.9/24") };
    char text[APP_PASSWORD_TEXT_BYTES + 1];
    int64_t phone = 0, other = 0;
    struct device *list;
    assert_int_equal(devices_of(d, &salma, &list), 1);
    assert_ok(directory_app_password_add(d, &salma, &wanted, text, &phone));
    assert_true(phone > 0 && phone < INT64_C(1) << 53);
    assert_int_equal(devices_of(d, &salma, &list), 2);
    assert_int_equal(list[1].id, phone);
    assert_string_equal(list[1].name, "phone");
    assert_int_equal(list[1].services, USER_POP3);
    assert_int_equal(list[1].expires_s, 5000000000);
    assert_true(list[1].created_s > 0);
    assert_string_equal(list[1].networks, "192.0.2.0/24");
    enum user_service service;
    assert_null(device_last_use(&list[1], &service));

    assert_err(ERR_EXISTS, add(d, &salma, "phone", &other));
    assert_ok(add(d, &omar, "phone", &other)); /* his own */
    assert_true(other != phone);
    assert_err(ERR_SYNTAX, add(d, &salma, "a\tb", &other));
    wanted.name = SLICE("b");
    wanted.services = 64;
    assert_err(ERR_SYNTAX, directory_app_password_add(d, &salma, &wanted, text, &other));
    wanted.services = USER_IMAP;
    wanted.networks = SLICE("everywhere");
    assert_err(ERR_SYNTAX, directory_app_password_add(d, &salma, &wanted, text, &other));
    struct user gone = salma;
    snprintf(gone.id, sizeof gone.id, "gone");
    assert_err(ERR_NOT_FOUND, add(d, &gone, "b", &other));

    struct user session = salma;
    assert_true(directory_login_holds(d, &session, USER_IMAP));
    session.device = phone;
    assert_true(directory_login_holds(d, &session, USER_IMAP));
    assert_err(ERR_NOT_FOUND, directory_app_password_revoke(d, &salma, SLICE("tablet"), &other));
    assert_err(ERR_NOT_FOUND, directory_app_password_revoke(d, &salma, SLICE(""), &other));
    assert_ok(directory_app_password_revoke(d, &salma, SLICE(" phone"), &other));
    assert_int_equal(other, phone);
    assert_false(directory_login_holds(d, &session, USER_IMAP));
    assert_int_equal(devices_of(d, &salma, &list), 1);
    assert_int_equal(devices_of(d, &omar, &list), 2);
    assert_err(ERR_NOT_FOUND, directory_app_password_revoke(d, &salma, SLICE("phone"), &other));
    assert_ok(add(d, &salma, "phone", &other));
    assert_true(other != phone);
}

static void test_limit(void **state)
{
    struct directory *d = *state;
    struct user salma = add_user(d, "salma@barid.test"), omar = add_user(d, "omar@barid.test");
    int64_t device;
    char name[32];
    for (unsigned i = 0; i < APP_PASSWORDS_PER_USER_MAX; i++) {
        snprintf(name, sizeof name, "device %02u", i);
        assert_ok(add(d, &salma, name, &device));
    }
    assert_err(ERR_LIMIT, add(d, &salma, "one more", &device));
    assert_ok(add(d, &omar, "one more", &device));
    struct device *list;
    assert_int_equal(devices_of(d, &salma, &list), 1 + APP_PASSWORDS_PER_USER_MAX);
    assert_string_equal(list[1].name, "device 00");
    assert_ok(directory_app_password_revoke(d, &salma, SLICE("device 07"), &device));
    assert_ok(add(d, &salma, "one more", &device));
}

static struct device_news news_of(
    const struct user *user, int64_t device, enum user_service service, uint64_t retrieved)
{
    static int64_t now_s = 1000;
    struct device_news news = { .device = device,
        .service = service,
        .use = { .last_s = now_s++, .address = "192.0.2.7", .retrieved = retrieved } };
    memcpy(news.user_id, user->id, sizeof news.user_id);
    return news;
}

static void test_uses(void **state)
{
    struct directory *d = *state;
    struct user salma = add_user(d, "salma@barid.test"), omar = add_user(d, "omar@barid.test");
    struct user nobody = salma;
    snprintf(nobody.id, sizeof nobody.id, "nobody");
    int64_t phone, tablet, his;
    assert_ok(add(d, &salma, "phone", &phone));
    assert_ok(add(d, &salma, "tablet", &tablet));
    assert_ok(add(d, &omar, "phone", &his));
    assert_ok(directory_devices_write(d, NULL, 0));
    struct device_news first[] = {
        news_of(&salma, phone, USER_POP3, 3),
        news_of(&salma, 0, USER_IMAP, 0),
        news_of(&nobody, 0, USER_IMAP, 0),    /* removed meanwhile */
        news_of(&salma, 12345, USER_IMAP, 0), /* revoked meanwhile */
        news_of(&salma, his, USER_IMAP, 0),   /* not hers */
        news_of(&salma, phone, USER_IMAP, 0),
    };
    assert_ok(directory_devices_write(d, first, sizeof first / sizeof *first));
    struct device_news second[] = { news_of(&salma, phone, USER_POP3, 4) };
    snprintf(second[0].use.address, sizeof second[0].use.address, "2001:db8::1");
    assert_ok(directory_devices_write(d, second, 1));
    struct device *list;
    enum user_service service;
    assert_int_equal(devices_of(d, &salma, &list), 3);
    assert_int_equal(list[0].uses[0].last_s, first[1].use.last_s);
    assert_int_equal(list[1].id, phone);
    assert_int_equal(list[1].uses[1].retrieved, 7);
    assert_string_equal(list[1].uses[1].address, "2001:db8::1");
    assert_string_equal(list[1].uses[0].address, "192.0.2.7");
    assert_ptr_equal(device_last_use(&list[1], &service), &list[1].uses[1]);
    assert_int_equal(service, USER_POP3);
    assert_null(device_last_use(&list[2], &service));
    assert_int_equal(devices_of(d, &omar, &list), 2);
    assert_null(device_last_use(&list[1], &service));
    /* what was known of a device goes with it, and all of it with the user */
    assert_ok(directory_app_password_revoke(d, &salma, SLICE("phone"), &phone));
    assert_ok(directory_devices_write(d, second, 1));
    assert_int_equal(devices_of(d, &salma, &list), 2);
    assert_int_equal(list[0].uses[0].last_s, first[1].use.last_s);
    assert_ok(directory_user_remove(d, SLICE("salma@barid.test"), &salma));
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(d->writer.sql.db,
                         "SELECT (SELECT count(*) FROM app_passwords),"
                         " (SELECT count(*) FROM device_uses)",
                         -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 1);
    assert_int_equal(sqlite3_column_int(statement, 1), 0);
    sqlite3_finalize(statement);
}

/* ---- other files ---- */

/* directory.db as it was before there were app passwords, with a user of each kind. */
static const char format_1[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('name_key', randomblob(32));"
    "CREATE TABLE domains(name TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE users("
    "  num INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, address TEXT NOT NULL "
    "UNIQUE,"
    "  domain TEXT NOT NULL REFERENCES domains(name), services INTEGER NOT NULL,"
    "  disabled INTEGER NOT NULL DEFAULT 0, quota_bytes INTEGER NOT NULL DEFAULT 0,"
    "  quota_messages INTEGER NOT NULL DEFAULT 0, created_s INTEGER NOT NULL, hash TEXT NOT NULL,"
    "  imported INTEGER NOT NULL, scram_iterations INTEGER NOT NULL,"
    "  scram_salt BLOB, scram_stored_key BLOB, scram_server_key BLOB);"
    "CREATE INDEX users_by_domain ON users(domain, address);"
    "CREATE TABLE aliases(alias TEXT NOT NULL, target TEXT NOT NULL,"
    "  domain TEXT NOT NULL REFERENCES domains(name), PRIMARY KEY(alias, target)) WITHOUT ROWID;"
    "CREATE INDEX aliases_by_target ON aliases(target);"
    "CREATE INDEX aliases_by_domain ON aliases(domain);"
    "INSERT INTO domains VALUES('barid.test');"
    "INSERT INTO users VALUES(1, '0123456789abcdef0123456789abcdef', 'old@barid.test', "
    "'barid.test',"
    "  7, 0, 5, 6, 1700000000, '$argon2id$one', 0, 4096, x'000102030405060708090a0b0c0d0e0f',"
    "  zeroblob(32), zeroblob(32));"
    "INSERT INTO users VALUES(2, '1123456789abcdef0123456789abcdef', 'imported@barid.test',"
    "  'barid.test', 1, 1, 0, 0, 1700000000, '" HASH "', 1, 0, NULL, NULL, NULL);"
    "INSERT INTO aliases VALUES('team@barid.test', 'old@barid.test', 'barid.test');"
    "PRAGMA user_version = 1; PRAGMA application_id = 1114793065";

static void make_format_1(const char *path)
{
    sqlite3 *db;
    char *problem = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    if (sqlite3_exec(db, format_1, NULL, NULL, &problem) != SQLITE_OK)
        fail_msg("%s", problem);
    sqlite3_close(db);
}

static void check_format_1(struct directory *d)
{
    struct user old, imported;
    struct password_record record, again;
    assert_ok(directory_user(d, SLICE("old@barid.test"), &old));
    assert_string_equal(old.id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(old.services, 7);
    assert_int_equal(old.quota_messages, 6);
    assert_ok(directory_secret(d, SLICE("old@barid.test"), &old, &record));
    assert_true(record.has_scram);
    assert_int_equal(record.scram.salt[15], 15);
    assert_string_equal(record.hash, "$argon2id$one");
    assert_ok(directory_secret(d, SLICE("imported@barid.test"), &imported, &record));
    assert_true(imported.disabled);
    assert_false(record.has_scram);
    assert_int_equal(record.scram.iterations, 4096); /* D-5 */
    assert_ok(directory_secret(d, SLICE("imported@barid.test"), &imported, &again));
    assert_memory_equal(record.scram.salt, again.scram.salt, SCRAM_SALT_BYTES);
    struct alias *list;
    size_t count;
    assert_ok(directory_aliases(d, &arena, &list, &count));
    assert_int_equal(count, 1);
}

static void test_migration(void **state)
{
    directory_close(*state);
    remove_database(file);
    make_format_1(file);
    struct directory *d, *other;
    assert_ok(directory_open(file, false, &d, NULL));
    *state = d;
    check_format_1(d);
    assert_ok(directory_open(file, false, &other, NULL)); /* once, not each time */
    check_format_1(other);
    directory_close(other);
    struct user imported;
    int64_t device;
    assert_ok(directory_user(d, SLICE("imported@barid.test"), &imported));
    assert_ok(add(d, &imported, "phone", &device));
    struct device_news news = news_of(&imported, device, USER_IMAP, 0);
    assert_ok(directory_devices_write(d, &news, 1));
    assert_ok(directory_user_password(d, SLICE("imported@barid.test"), SLICE("new")));
}

/* A copy in a folder of its own, as a backup has it. */
static struct directory *open_copy(const char *sub, int *out_fd)
{
    struct directory *copy;
    *out_fd = open(sub, O_RDONLY | O_DIRECTORY);
    assert_true(*out_fd >= 0);
    assert_ok(directory_open_copy(*out_fd, &copy));
    return copy;
}

static void test_restore(void **state)
{
    struct directory *d = *state, *copy;
    char sub[80], path[128];
    int fd;
    snprintf(sub, sizeof sub, "%s/copy", folder);
    snprintf(path, sizeof path, "%s/directory.db", sub);
    assert_int_equal(mkdir(sub, 0700), 0);
    struct user salma = add_user(d, "salma@barid.test"), omar = add_user(d, "omar@barid.test");
    int64_t phone, tablet, his;
    assert_ok(add(d, &salma, "phone", &phone));
    assert_ok(add(d, &salma, "tablet", &tablet));
    assert_ok(add(d, &omar, "phone", &his));
    struct device_news news[] = { news_of(&salma, phone, USER_POP3, 5),
        news_of(&salma, tablet, USER_IMAP, 0), news_of(&salma, 0, USER_IMAP, 0),
        news_of(&omar, his, USER_IMAP, 0) };
    assert_ok(directory_devices_write(d, news, 4));
    assert_ok(directory_copy(d, path));
    assert_ok(directory_user_remove(d, SLICE("salma@barid.test"), &salma));
    /* somebody has the id of her tablet now */
    char steal[160];
    snprintf(steal, sizeof steal, "UPDATE app_passwords SET id = %lld", (long long)tablet);
    assert_int_equal(sqlite3_exec(d->writer.sql.db, steal, NULL, NULL, NULL), SQLITE_OK);
    copy = open_copy(sub, &fd);
    struct user back;
    assert_ok(directory_restore_user(d, copy, SLICE("salma@barid.test"), &back));
    assert_string_equal(back.id, salma.id);
    assert_err(ERR_EXISTS, directory_restore_user(d, copy, SLICE("salma@barid.test"), &back));
    assert_err(ERR_NOT_FOUND, directory_restore_user(d, copy, SLICE("nobody@barid.test"), &back));
    struct device *list;
    assert_int_equal(devices_of(d, &salma, &list), 3);
    assert_int_equal(list[1].id, phone);
    assert_int_equal(list[1].uses[1].retrieved, 5);
    assert_string_equal(list[2].name, "tablet");
    assert_true(list[2].id != tablet && list[2].id > 0);
    assert_int_equal(list[2].uses[0].last_s, news[1].use.last_s);
    assert_int_equal(list[0].uses[0].last_s, news[2].use.last_s);
    assert_int_equal(devices_of(d, &omar, &list), 2);
    assert_int_equal(list[1].uses[0].last_s, 0); /* those stayed with the id he had */
    directory_close(copy);
    close(fd);
    unlink(path);

    /* a backup that an earlier Barid made is read, and stays as it is */
    make_format_1(path);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    copy = open_copy(sub, &fd);
    check_format_1(copy);
    assert_ok(directory_restore_user(d, copy, SLICE("old@barid.test"), &back));
    assert_ok(directory_restore_user(d, copy, SLICE("imported@barid.test"), &back));
    check_format_1(d);
    assert_ok(add(d, &back, "phone", &phone));
    directory_close(copy);
    close(fd);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    remove_database(path);
    assert_int_equal(rmdir(sub), 0);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
TEST_MAIN(cmocka_unit_test(test_text), cmocka_unit_test(test_networks),
    cmocka_unit_test(test_names), WITH_DIRECTORY(test_add_and_revoke), WITH_DIRECTORY(test_limit),
    WITH_DIRECTORY(test_uses), WITH_DIRECTORY(test_migration), WITH_DIRECTORY(test_restore))
