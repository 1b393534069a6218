/* directory.db: users, aliases, routing, two handles at once, files that are not ours. Hashing is slow, so most users here come with an
 * imported hash. */
#include "auth/directory_fixture_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
    *state = directory_begin();
    return 0;
}

static int teardown(void **state)
{
    return directory_end(*state);
}

static void add(struct directory *d, const char *address)
{
    struct user_new user = {
        .address = slice_of(address), .imported_hash = SLICE(HASH), .services = USER_IMAP
    };
    assert_ok(directory_users_add(d, &user, 1, NULL));
}

static void alias(struct directory *d, const char *from, const char *to)
{
    assert_ok(directory_alias_add(d, slice_of(from), slice_of(to), NULL));
}

static void test_domains(void **state)
{
    struct directory *d = *state;
    struct err_note note;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    uint64_t version = directory_version(d);
    assert_ok(directory_domain_add(d, SLICE("Barid.TEST"), &note));
    assert_true(directory_version(d) != version);
    version = directory_version(d);
    assert_true(directory_version(d) == version);
    assert_err(ERR_EXISTS, directory_domain_add(d, SLICE("barid.test"), &note));
    assert_err(ERR_SYNTAX, directory_domain_add(d, SLICE("not a domain"), &note));
    assert_ok(directory_domain_add(d, SLICE("بريد.test"), &note));
    assert_true(directory_domain_is_local(d, SLICE("BARID.test")));
    assert_true(directory_domain_is_local(d, SLICE("xn--ngbof4h.test")));
    assert_false(directory_domain_is_local(d, SLICE("example.org")));
    assert_false(directory_domain_is_local(d, SLICE("")));
    struct slice *list;
    size_t count;
    assert_ok(directory_domains(d, &arena, &list, &count));
    assert_int_equal(count, 2);
    assert_slice("first", list[0], SLICE("barid.test"));
    add(d, "omar@barid.test");
    assert_err(ERR_BUSY, directory_domain_remove(d, SLICE("barid.test"), &note));
    assert_err(ERR_NOT_FOUND, directory_domain_remove(d, SLICE("example.org"), &note));
    assert_ok(directory_domain_remove(d, SLICE("بريد.test"), &note));
    assert_false(directory_domain_is_local(d, SLICE("بريد.test")));
    arena_done(&arena);
}

static void test_users(void **state)
{
    struct directory *d = *state;
    struct err_note note;
    assert_ok(directory_domain_add(d, SLICE("barid.test"), NULL));
    struct user_new user = { .address = SLICE("Salma@Barid.test"),
        .password = SLICE("secret"),
        .services = USER_IMAP | USER_SUBMISSION,
        .quota_bytes = 1000,
        .quota_messages = 7 };
    assert_ok(directory_users_add(d, &user, 1, &note));
    assert_err(ERR_EXISTS, directory_users_add(d, &user, 1, &note));
    assert_non_null(strstr(note.text, "line 1"));
    struct user got, same;
    assert_ok(directory_user(d, SLICE("SALMA@barid.test"), &got));
    assert_string_equal(got.address, "salma@barid.test");
    assert_int_equal(strlen(got.id), USER_ID_BYTES);
    assert_int_equal(got.services, USER_IMAP | USER_SUBMISSION);
    assert_false(got.disabled);
    assert_int_equal(got.quota_bytes, 1000);
    assert_int_equal(got.quota_messages, 7);
    assert_ok(directory_user_by_id(d, slice_of(got.id), &same));
    assert_string_equal(same.address, got.address);
    assert_err(ERR_NOT_FOUND, directory_user(d, SLICE("nobody@barid.test"), &got));
    assert_err(ERR_SYNTAX, directory_user(d, SLICE("nobody"), &got));
    assert_err(ERR_NOT_FOUND, directory_user_by_id(d, SLICE("../../etc"), &got));

    same.disabled = true;
    same.services = USER_POP3;
    same.quota_bytes = 0;
    assert_ok(directory_user_set(d, &same));
    assert_ok(directory_user(d, SLICE("salma@barid.test"), &got));
    assert_true(got.disabled);
    assert_int_equal(got.services, USER_POP3);
    assert_int_equal(got.quota_bytes, 0);
    same.quota_bytes = UINT64_MAX;
    assert_err(ERR_LIMIT, directory_user_set(d, &same));
    snprintf(same.id, sizeof same.id, "gone");
    same.quota_bytes = 0;
    assert_err(ERR_NOT_FOUND, directory_user_set(d, &same));

    struct password_record before, after;
    assert_ok(directory_secret(d, SLICE("salma@barid.test"), &got, &before));
    assert_ok(directory_user_password(d, SLICE("salma@barid.test"), SLICE("another")));
    assert_ok(directory_secret(d, SLICE("salma@barid.test"), &got, &after));
    assert_true(strcmp(before.hash, after.hash) != 0);
    assert_true(after.has_scram);
    assert_err(ERR_SYNTAX, directory_user_password(d, SLICE("salma@barid.test"), SLICE("")));
    assert_err(ERR_SYNTAX, directory_user_password(d, SLICE("salma@barid.test"), SLICE("tab\t")));
    assert_err(ERR_NOT_FOUND, directory_user_password(d, SLICE("nobody@barid.test"), SLICE("x")));
    /* the hash that was read is not the one there now: nothing is overwritten */
    assert_err(ERR_NOT_FOUND, directory_upgrade(d, slice_of(got.id), before.hash, &before));
    assert_ok(directory_upgrade(d, slice_of(got.id), after.hash, &before));

    char id[USER_ID_BYTES + 1];
    snprintf(id, sizeof id, "%s", got.id);
    assert_ok(directory_user_remove(d, SLICE("salma@barid.test"), &got));
    assert_string_equal(got.id, id);
    assert_err(ERR_NOT_FOUND, directory_user_remove(d, SLICE("salma@barid.test"), &got));
    add(d, "salma@barid.test");
    assert_ok(directory_user(d, SLICE("salma@barid.test"), &got));
    assert_true(strcmp(got.id, id) != 0);
}

static void test_many(void **state)
{
    struct directory *d = *state;
    struct err_note note;
    assert_ok(directory_domain_add(d, SLICE("barid.test"), NULL));
    enum {
        COUNT = 500
    };
    static char names[COUNT][32];
    static struct user_new users[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "user%zu@barid.test", i);
        users[i] = (struct user_new){ .address = slice_of(names[i]), .imported_hash = SLICE(HASH) };
    }
    users[2].imported_hash = SLICE_EMPTY;
    users[2].password = SLICE("one of them has a password");
    size_t at = 0;
    struct {
        const char *name;
        struct slice address, hash;
        enum err wanted;
    } bad[] = {
        { "twice", SLICE("USER7@barid.test"), SLICE(HASH), ERR_EXISTS },
        { "foreign", SLICE("x@example.org"), SLICE(HASH), ERR_NOT_FOUND },
        { "no address", SLICE("x"), SLICE(HASH), ERR_SYNTAX },
        { "no hash", SLICE("x@barid.test"), SLICE("$9$nothing"), ERR_SYNTAX },
        { "slow hash", SLICE("x@barid.test"), SLICE("$6$rounds=999999999$salt$x"), ERR_LIMIT },
        { "no password", SLICE("x@barid.test"), SLICE(""), ERR_SYNTAX },
    };
    struct arena arena;
    arena_init(&arena, 8 << 20);
    struct user *list;
    size_t count;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct user_new good = users[400];
        users[400].address = bad[i].address;
        users[400].imported_hash = bad[i].hash;
        enum err e = directory_users_add_rows(d, users, COUNT, &at);
        if (e != bad[i].wanted || at != 400)
            fail_msg("%s: %s at %zu", bad[i].name, err_name(e), at);
        users[400] = good;
        assert_ok(directory_users(d, SLICE_EMPTY, &arena, &list, &count));
        assert_int_equal(count, 0); /* all or none */
    }
    assert_ok(directory_users_add(d, users, COUNT, &note));
    assert_ok(directory_users(d, SLICE("BARID.test"), &arena, &list, &count));
    assert_int_equal(count, COUNT);
    assert_string_equal(list[0].address, "user0@barid.test");
    assert_err(ERR_NOT_FOUND, directory_users(d, SLICE("example.org"), &arena, &list, &count));
    arena_done(&arena);
}

static void expect(struct directory *d, const char *address, const char *wanted, const char *detail)
{
    struct arena arena;
    struct user *users;
    size_t count;
    struct slice got_detail;
    arena_init(&arena, 1 << 20);
    enum err e = directory_resolve(d, slice_of(address), &arena, &users, &count, &got_detail);
    char all[512] = "";
    size_t len = 0;
    for (size_t i = 0; !e && i < count; i++)
        len +=
            (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? " " : "", users[i].address);
    assert_slice(address, slice_of(e ? err_name(e) : all), slice_of(wanted));
    if (!e)
        assert_slice(address, got_detail, slice_of(detail));
    arena_done(&arena);
}

static void test_routes(void **state)
{
    struct directory *d = *state;
    const char *nobody = err_name(ERR_NOT_FOUND), *foreign = err_name(ERR_DENIED);
    assert_ok(directory_domain_add(d, SLICE("barid.test"), NULL));
    assert_ok(directory_domain_add(d, SLICE("second.test"), NULL));
    expect(d, "postmaster@barid.test", nobody, "");
    add(d, "salma@barid.test");
    add(d, "omar@barid.test");
    add(d, "plus+real@barid.test");
    alias(d, "team@barid.test", "salma@barid.test");
    alias(d, "team@barid.test", "omar@barid.test");
    alias(d, "all@second.test", "team@barid.test");
    alias(d, "all@second.test", "omar@barid.test");
    alias(d, "loop@barid.test", "all@second.test");
    alias(d, "all@second.test", "loop@barid.test");
    expect(d, "omar@barid.test", "omar@barid.test", "");
    expect(d, "Omar+Work@barid.test", "omar@barid.test", "Work");
    expect(d, "omar+a+b@barid.test", "omar@barid.test", "a+b");
    expect(d, "omar+@barid.test", "omar@barid.test", "");
    expect(d, "plus+real@barid.test", "plus+real@barid.test", "");
    expect(d, "plus+other@barid.test", nobody, "");
    expect(d, "+x@barid.test", nobody, "");
    expect(d, "\"omar+quoted\"@barid.test", "omar@barid.test", "quoted");
    expect(d, "team@barid.test", "omar@barid.test salma@barid.test", "");
    expect(d, "team+x@barid.test", "omar@barid.test salma@barid.test", "x");
    expect(d, "all@second.test", "omar@barid.test salma@barid.test", "");
    expect(d, "loop@barid.test", "omar@barid.test salma@barid.test", "");
    expect(d, "nobody@barid.test", nobody, "");
    expect(d, "nobody@example.org", foreign, "");
    expect(d, "Postmaster@second.test", "salma@barid.test", "");
    expect(d, "postMASTER", "salma@barid.test", "");
    expect(d, "postmaster@example.org", foreign, "");
    expect(d, "bad address", err_name(ERR_SYNTAX), "");

    struct user omar, salma;
    assert_ok(directory_user(d, SLICE("omar@barid.test"), &omar));
    assert_ok(directory_user(d, SLICE("salma@barid.test"), &salma));
    assert_true(directory_owns(d, &omar, SLICE("OMAR@barid.test")));
    assert_true(directory_owns(d, &omar, SLICE("omar+x@barid.test")));
    assert_true(directory_owns(d, &omar, SLICE("team@barid.test")));
    assert_true(directory_owns(d, &omar, SLICE("loop+y@barid.test")));
    assert_false(directory_owns(d, &omar, SLICE("salma@barid.test")));
    assert_false(directory_owns(d, &omar, SLICE("omar@example.org")));
    assert_false(directory_owns(d, &omar, SLICE("nobody@barid.test")));
    assert_false(directory_owns(d, &omar, SLICE("")));

    alias(d, "postmaster@second.test", "omar@barid.test");
    expect(d, "postmaster@second.test", "omar@barid.test", "");
    assert_ok(directory_user_remove(d, SLICE("salma@barid.test"), &salma));
    expect(d, "team@barid.test", "omar@barid.test", "");
    assert_ok(directory_user_remove(d, SLICE("omar@barid.test"), &omar));
    expect(d, "team@barid.test", nobody, "");
    expect(d, "postmaster@second.test", "plus+real@barid.test", "");
}

static void test_aliases(void **state)
{
    struct directory *d = *state;
    struct err_note note;
    struct arena arena;
    struct alias *list;
    size_t count;
    arena_init(&arena, 1 << 20);
    assert_ok(directory_domain_add(d, SLICE("barid.test"), NULL));
    add(d, "omar@barid.test");
    assert_err(
        ERR_NOT_FOUND, directory_alias_add(d, SLICE("a@barid.test"), SLICE("x@barid.test"), &note));
    assert_err(
        ERR_NOT_FOUND, directory_alias_add(d, SLICE("a@barid.test"), SLICE("a@barid.test"), &note));
    assert_err(ERR_DENIED,
        directory_alias_add(d, SLICE("a@example.org"), SLICE("omar@barid.test"), &note));
    assert_err(ERR_EXISTS,
        directory_alias_add(d, SLICE("omar@barid.test"), SLICE("omar@barid.test"), &note));
    assert_err(ERR_SYNTAX, directory_alias_add(d, SLICE("a"), SLICE("omar@barid.test"), &note));
    alias(d, "A@barid.test", "Omar@barid.test");
    assert_err(
        ERR_EXISTS, directory_alias_add(d, SLICE("a@barid.test"), SLICE("omar@barid.test"), &note));
    alias(d, "b@barid.test", "a@barid.test");
    struct user_new user = { .address = SLICE("a@barid.test"), .imported_hash = SLICE(HASH) };
    assert_err(ERR_EXISTS, directory_users_add(d, &user, 1, &note));
    assert_ok(directory_aliases(d, &arena, &list, &count));
    assert_int_equal(count, 2);
    assert_slice("alias", list[0].alias, SLICE("a@barid.test"));
    assert_slice("target", list[0].target, SLICE("omar@barid.test"));
    assert_err(ERR_NOT_FOUND, directory_alias_remove(d, SLICE("c@barid.test"), SLICE_EMPTY));
    assert_err(
        ERR_NOT_FOUND, directory_alias_remove(d, SLICE("a@barid.test"), SLICE("b@barid.test")));
    assert_ok(directory_alias_remove(d, SLICE("a@barid.test"), SLICE("omar@barid.test")));
    assert_ok(directory_aliases(d, &arena, &list, &count));
    assert_int_equal(count, 0); /* b led nowhere else */
    alias(d, "a@barid.test", "omar@barid.test");
    alias(d, "b@barid.test", "a@barid.test");
    alias(d, "a@barid.test", "b@barid.test");
    alias(d, "c@barid.test", "b@barid.test");
    add(d, "salma@barid.test");
    alias(d, "c@barid.test", "salma@barid.test");
    assert_ok(directory_alias_remove(d, SLICE("a@barid.test"), SLICE("omar@barid.test")));
    assert_ok(directory_aliases(d, &arena, &list, &count));
    assert_int_equal(count, 1); /* a loop leads nowhere */
    assert_slice("alias", list[0].alias, SLICE("c@barid.test"));
    assert_slice("target", list[0].target, SLICE("salma@barid.test"));
    alias(d, "b@barid.test", "c@barid.test");
    alias(d, "c@barid.test", "b@barid.test");
    struct user salma;
    assert_ok(directory_user_remove(d, SLICE("salma@barid.test"), &salma));
    assert_ok(directory_aliases(d, &arena, &list, &count));
    assert_int_equal(count, 0);
    arena_done(&arena);
}

static void test_two_handles(void **state)
{
    struct directory *d = *state, *other;
    struct err_note note;
    assert_ok(directory_open(file, false, &other, &note));
    assert_ok(directory_domain_add(other, SLICE("barid.test"), NULL));
    uint64_t version = directory_version(d);
    add(other, "omar@barid.test");
    assert_true(directory_version(d) != version);
    struct user user;
    assert_ok(directory_user(d, SLICE("omar@barid.test"), &user));
    user.disabled = true;
    assert_ok(directory_user_set(d, &user));
    assert_ok(directory_user(other, SLICE("omar@barid.test"), &user));
    assert_true(user.disabled);
    assert_memory_equal(d->name_key, other->name_key, sizeof d->name_key);
    directory_close(other);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void *open_it(void *arg)
{
    struct directory *d = NULL;
    enum err *result = arg;
    *result = directory_open(file, true, &d, NULL);
    directory_close(d);
    return NULL;
}

/* A file that is not there yet, opened by several at once. */
static void test_open_at_once(void **state)
{
    directory_close(*state);
    unlink(file);
    pthread_t threads[8];
    enum err results[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_it, &results[i]), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 8; i++)
        assert_ok(results[i]);
    struct directory *d;
    assert_ok(directory_open(file, false, &d, NULL));
    *state = d;
}

static void test_other_files(void **state)
{
    struct directory *d = *state, *none = NULL;
    struct err_note note;
    char name[128];
    snprintf(name, sizeof name, "%s/absent/directory.db", folder);
    assert_err(ERR_NOT_FOUND, directory_open(name, false, &none, &note));
    assert_err(ERR_NOT_FOUND, directory_open(name, true, &none, &note));
    sqlite3_exec(d->writer.sql.db, "PRAGMA user_version = 999", NULL, NULL, NULL);
    assert_err(ERR_DENIED, directory_open(file, false, &none, &note));
    assert_non_null(strstr(note.text, "newer"));
    /* no format of ours, and no place in the list of steps */
    sqlite3_exec(d->writer.sql.db, "PRAGMA user_version = -1", NULL, NULL, NULL);
    assert_err(ERR_CORRUPT, directory_open(file, false, &none, &note));
    assert_non_null(strstr(note.text, "another program"));
    sqlite3_exec(
        d->writer.sql.db, "PRAGMA user_version = 1; PRAGMA application_id = 5", NULL, NULL, NULL);
    assert_err(ERR_CORRUPT, directory_open(file, false, &none, &note));
    snprintf(name, sizeof name, "%s/text.db", folder);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "this is a text, and a long enough one to be one", 47), 47);
    close(fd);
    assert_err(ERR_CORRUPT, directory_open(name, false, &none, &note));
    unlink(name);
    assert_null(none);
}

static const struct hash_row {
    const char *name;
    struct slice hash, password;
    enum err wanted;
    bool right;
} hash_rows[] = {
    { "sha512", SLICE_CONST(HASH), SLICE_CONST("Hello world!"), ERR_OK, false },
    { "sha512, made by openssl passwd",
        SLICE_CONST(
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBF"
            "dcbYEdFCoEOfaS35inz1"),
        SLICE_CONST("Hello world!"), ERR_OK, true },
    { "with a scheme",
        SLICE_CONST(
            "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI"
            "68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
        SLICE_CONST("Hello world!"), ERR_OK, true },
    { "wrong password",
        SLICE_CONST(
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBF"
            "dcbYEdFCoEOfaS35inz1"),
        SLICE_CONST("hello world!"), ERR_OK, false },
    { "NUL in the password",
        SLICE_CONST(
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBF"
            "dcbYEdFCoEOfaS35inz1"),
        SLICE_CONST("Hello world!\0"), ERR_OK, false },
    { "bcrypt",
        SLICE_CONST("{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        SLICE_CONST("U*U"), ERR_OK, true },
    { "expensive bcrypt",
        SLICE_CONST("$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        SLICE_CONST(""), ERR_LIMIT, false },
    { "expensive argon2", SLICE_CONST("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$c29tZWhhc2g"),
        SLICE_CONST(""), ERR_LIMIT, false },
    { "broken argon2", SLICE_CONST("$argon2id$v=19$m=65536,t=2$"), SLICE_CONST(""), ERR_SYNTAX,
        false },
    { "DES", SLICE_CONST("CCNf8Sbh3HDfQ"), SLICE_CONST("U*U*U*U*"), ERR_SYNTAX, false },
    { "clear text", SLICE_CONST("{PLAIN}secret"), SLICE_CONST("secret"), ERR_SYNTAX, false },
    { "empty", SLICE_CONST(""), SLICE_CONST(""), ERR_SYNTAX, false },
    { "locked", SLICE_CONST("!"), SLICE_CONST("!"), ERR_SYNTAX, false },
    { "blank inside", SLICE_CONST("$6$sa lt$x"), SLICE_CONST(""), ERR_SYNTAX, false },
};

static void test_imported_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hash_rows / sizeof *hash_rows; i++) {
        struct password_record record;
        bool right = false;
        enum err e = password_import(hash_rows[i].hash, &record);
        if (e != hash_rows[i].wanted)
            fail_msg("%s: %s", hash_rows[i].name, err_name(e));
        if (e)
            continue;
        assert_ok(password_check(&record, hash_rows[i].password, &right));
        if (right != hash_rows[i].right)
            fail_msg("%s: %d", hash_rows[i].name, right);
        assert_true(password_is_dated(&record));
    }
    struct password_record record;
    bool right = false;
    assert_ok(password_make(SLICE("caf\xc3\xa9"), NULL, &record));
    assert_false(password_is_dated(&record));
    assert_ok(password_check(&record, SLICE("cafe\xcc\x81"), &right));
    assert_true(right);
    assert_ok(password_check(&record, SLICE("cafe"), &right));
    assert_false(right);
    record.imported = true;
    record.has_scram = false;
    assert_ok(password_check(&record, SLICE("caf\xc3\xa9"), &right));
    assert_true(right);
    assert_true(password_is_dated(&record));
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
TEST_MAIN(WITH_DIRECTORY(test_domains), WITH_DIRECTORY(test_users), WITH_DIRECTORY(test_many),
    WITH_DIRECTORY(test_routes), WITH_DIRECTORY(test_aliases), WITH_DIRECTORY(test_two_handles),
    WITH_DIRECTORY(test_open_at_once), WITH_DIRECTORY(test_other_files),
    cmocka_unit_test(test_imported_hashes))
