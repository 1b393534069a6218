/* directory.db: users. Hashing happens before the write lock is taken, so a long import never holds up anybody. */
#include "auth/directory_int.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_THREADS_MAX 64u

/* ---- reading ---- */

static void copy_text(char *out, size_t out_bytes, struct slice text)
{
    size_t len = text.len < out_bytes ? text.len : out_bytes - 1;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
}

/* Of the key that proves the main password. */
static uint64_t digest_of(struct slice stored_key)
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    uint64_t number;
    if (!stored_key.len)
        return 0;
    (void)crypto_generichash(
        digest, sizeof digest, (const unsigned char *)stored_key.ptr, stored_key.len, NULL, 0);
    memcpy(&number, digest, sizeof number);
    return number ? number : 1;
}

void directory_read_user(sqlite3_stmt *statement, struct user *out_user)
{
    struct user user = {
        .services = (unsigned)sqlite3_column_int(statement, 2),
        .disabled = sqlite3_column_int(statement, 3) != 0,
        .quota_bytes = (uint64_t)sqlite3_column_int64(statement, 4),
        .quota_messages = (uint64_t)sqlite3_column_int64(statement, 5),
        .created_s = sqlite3_column_int64(statement, 6),
        .secret = digest_of(sql_text(statement, 11)),
    };
    copy_text(user.id, sizeof user.id, sql_text(statement, 0));
    copy_text(user.address, sizeof user.address, sql_text(statement, 1));
    *out_user = user;
}

static void read_blob(
    sqlite3_stmt *statement, int column, unsigned char *out, size_t len, bool *out_whole)
{
    const void *blob = sqlite3_column_blob(statement, column);
    if (!blob || (size_t)sqlite3_column_bytes(statement, column) != len)
        *out_whole = false;
    else
        memcpy(out, blob, len);
}

static void read_record(sqlite3_stmt *statement, struct password_record *out_record)
{
    struct password_record record = { .imported = sqlite3_column_int(statement, 8) != 0 };
    copy_text(record.hash, sizeof record.hash, sql_text(statement, 7));
    bool has_salt = true;
    read_blob(statement, 10, record.scram.salt, SCRAM_SALT_BYTES, &has_salt);
    record.scram.iterations = has_salt ? (unsigned)sqlite3_column_int(statement, 9) : 0;
    record.has_scram = record.scram.iterations > 0;
    read_blob(statement, 11, record.scram.stored_key, SCRAM_KEY_BYTES, &record.has_scram);
    read_blob(statement, 12, record.scram.server_key, SCRAM_KEY_BYTES, &record.has_scram);
    *out_record = record;
}

enum err directory_find(struct directory_link *link, enum directory_sql sql, struct slice key,
    struct user *out_user, struct password_record *out_record)
{
    sqlite3_stmt *statement;
    TRY(sql_get(&link->sql, sql, &statement));
    sql_bind_text(statement, 1, key);
    bool row;
    TRY(sql_step(&link->sql, statement, &row));
    if (!row)
        return ERR_NOT_FOUND;
    directory_read_user(statement, out_user);
    if (out_record)
        read_record(statement, out_record);
    sql_reset(statement);
    return ERR_OK;
}

enum err directory_secret(struct directory *directory, struct slice canonical,
    struct user *out_user, struct password_record *out_record)
{
    pthread_mutex_lock(&directory->reader.lock);
    enum err e = directory_find(&directory->reader, SQL_USER, canonical, out_user, out_record);
    pthread_mutex_unlock(&directory->reader.lock);
    return e;
}

enum err directory_user(struct directory *directory, struct slice address, struct user *out_user)
{
    char name[USER_NAME_BYTES_MAX + 1];
    TRY(address_canonical(address, name));
    return directory_secret(directory, slice_of(name), out_user, NULL);
}

enum err directory_user_by_id(struct directory *directory, struct slice id, struct user *out_user)
{
    pthread_mutex_lock(&directory->reader.lock);
    enum err e = directory_find(&directory->reader, SQL_USER_BY_ID, id, out_user, NULL);
    pthread_mutex_unlock(&directory->reader.lock);
    return e;
}

enum err directory_users(struct directory *directory, struct slice domain, struct arena *arena,
    struct user **out_list, size_t *out_count)
{
    char name[USER_NAME_BYTES_MAX + 1] = "";
    if (domain.len > 0)
        TRY(domain_canonical(domain, name));
    struct directory_link *link = &directory->reader;
    struct user *list = NULL;
    size_t count = 0, cap = 0;
    sqlite3_stmt *statement = NULL;
    bool row;
    pthread_mutex_lock(&link->lock);
    enum err e = domain.len > 0 ? directory_find_domain(link, slice_of(name)) : ERR_OK;
    if (!e)
        e = sql_get(&link->sql, SQL_USERS, &statement);
    if (!e)
        sql_bind_text(statement, 1, slice_of(name));
    while (!e && !(e = sql_step(&link->sql, statement, &row)) && row) {
        list = arena_grow(arena, list, &cap, count + 1, sizeof *list);
        if (!list)
            e = ERR_LIMIT;
        else
            directory_read_user(statement, &list[count++]);
    }
    sql_reset(statement);
    pthread_mutex_unlock(&link->lock);
    if (e)
        return e;
    *out_list = list;
    *out_count = count;
    return ERR_OK;
}

/* ---- adding ---- */

struct new_row {
    char address[USER_NAME_BYTES_MAX + 1];
    struct password_record record;
    enum err err;
};

struct adding {
    const struct user_new *users;
    struct new_row *rows;
    size_t count;
    atomic_size_t next;
    atomic_bool failed;
};

static struct slice domain_of(struct slice address)
{
    return slice_from_index(address, slice_index(address, '@') + 1);
}

/* Takes the next row until none is left. Runs on several threads at once. */
static void *hash_rows(void *arg)
{
    struct adding *adding = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&adding->next, 1);
        if (i >= adding->count || atomic_load(&adding->failed))
            return NULL;
        const struct user_new *user = &adding->users[i];
        struct new_row *row = &adding->rows[i];
        row->err = user->imported_hash.len > 0 ? password_import(user->imported_hash, &row->record)
                                               : password_make(user->password, NULL, &row->record);
        if (row->err)
            atomic_store(&adding->failed, true);
    }
}

static void hash_all(struct adding *adding)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t want = cores > 1 ? (size_t)cores : 1;
    if (want > adding->count)
        want = adding->count;
    if (want > HASH_THREADS_MAX)
        want = HASH_THREADS_MAX;
    pthread_t threads[HASH_THREADS_MAX];
    size_t started = 0;
    /* the calling thread is one of them, so no thread at all is only slower */
    while (started + 1 < want && pthread_create(&threads[started], NULL, hash_rows, adding) == 0)
        started++;
    hash_rows(adding);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

/* With the link's lock held: may this name become a user? */
static enum err name_is_free(struct directory_link *link, struct slice address)
{
    struct user user;
    TRY(directory_find_domain(link, domain_of(address)));
    enum err e = directory_find(link, SQL_USER, address, &user, NULL);
    if (e != ERR_NOT_FOUND)
        return e ? e : ERR_EXISTS;
    e = directory_find_alias(link, address);
    return e == ERR_NOT_FOUND ? ERR_OK : e ? e : ERR_EXISTS;
}

/* Everything that can be known before the slow part. */
static enum err check_rows(struct directory *directory, struct adding *adding, size_t *out_at)
{
    struct map seen;
    map_init(&seen);
    enum err e = ERR_OK;
    for (size_t i = 0; i < adding->count && !e; i++) {
        struct new_row *row = &adding->rows[i];
        *out_at = i;
        e = address_canonical(adding->users[i].address, row->address);
        if (!e && (adding->users[i].quota_bytes > INT64_MAX ||
                      adding->users[i].quota_messages > INT64_MAX))
            e = ERR_LIMIT;
        if (!e && map_put(&seen, slice_of(row->address), row))
            e = ERR_EXISTS;
        if (!e) {
            pthread_mutex_lock(&directory->reader.lock);
            e = name_is_free(&directory->reader, slice_of(row->address));
            pthread_mutex_unlock(&directory->reader.lock);
        }
    }
    map_done(&seen);
    return e;
}

static void bind_hash(sqlite3_stmt *statement, const struct password_record *record)
{
    sql_bind_text(statement, 8, slice_of(record->hash));
    sqlite3_bind_int(statement, 9, record->imported);
    if (record->has_scram) {
        sqlite3_bind_blob(statement, 10, record->scram.stored_key, SCRAM_KEY_BYTES, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 11, record->scram.server_key, SCRAM_KEY_BYTES, SQLITE_STATIC);
    }
}

static enum err insert_row(
    struct directory *directory, const struct user_new *user, const struct new_row *row)
{
    struct directory_link *link = &directory->writer;
    struct slice address = slice_of(row->address);
    TRY(name_is_free(link, address));
    unsigned char random[USER_ID_BYTES / 2];
    rand_bytes(random, sizeof random);
    struct buf id;
    buf_init(&id, 0);
    hex_encode(&id, slice_from(random, sizeof random));
    sqlite3_stmt *statement;
    enum err e = sql_get(&link->sql, SQL_USER_INSERT, &statement);
    if (!e) {
        sql_bind_text(statement, 1, buf_slice(&id));
        sql_bind_text(statement, 2, address);
        sql_bind_text(statement, 3, domain_of(address));
        sqlite3_bind_int(
            statement, 4, (int)(user->services & (USER_IMAP | USER_POP3 | USER_SUBMISSION)));
        sqlite3_bind_int64(statement, 5, (sqlite3_int64)user->quota_bytes);
        sqlite3_bind_int64(statement, 6, (sqlite3_int64)user->quota_messages);
        sqlite3_bind_int64(statement, 7, clock_wall_s());
        bind_hash(statement, &row->record);
        sqlite3_bind_int64(statement, 12, row->record.scram.iterations);
        sqlite3_bind_blob(statement, 13, row->record.scram.salt, SCRAM_SALT_BYTES, SQLITE_STATIC);
        e = sql_done(&link->sql, statement);
    }
    buf_done(&id);
    return e;
}

static enum err insert_rows(struct directory *directory, struct adding *adding, size_t *out_at)
{
    *out_at = adding->count;
    TRY(directory_write_begin(directory));
    enum err e = ERR_OK;
    for (size_t i = 0; i < adding->count && !e; i++) {
        e = insert_row(directory, &adding->users[i], &adding->rows[i]);
        if (e)
            *out_at = i;
    }
    return directory_write_end(directory, e);
}

enum err directory_users_add_rows(
    struct directory *directory, const struct user_new *users, size_t count, size_t *out_failed)
{
    struct adding adding = { .users = users, .count = count };
    size_t at = count;
    if (count == 0)
        return ERR_OK;
    adding.rows = mem_zalloc(count, sizeof *adding.rows);
    enum err e = check_rows(directory, &adding, &at);
    if (!e) {
        hash_all(&adding);
        for (at = 0; at < count && !adding.rows[at].err; at++)
            ;
        e = at < count ? adding.rows[at].err : insert_rows(directory, &adding, &at);
    }
    explicit_bzero(adding.rows, count * sizeof *adding.rows);
    free(adding.rows);
    if (e && out_failed)
        *out_failed = at;
    return e;
}

enum err directory_users_add(
    struct directory *directory, const struct user_new *users, size_t count, struct err_note *note)
{
    size_t at = count;
    enum err e = directory_users_add_rows(directory, users, count, &at);
    if (!e)
        return ERR_OK;
    if (at >= count)
        return err_noted(note, e, "the users could not be stored: %s", err_words(e));
    const char *why = e == ERR_NOT_FOUND ? "its domain is not one of ours"
                      : e == ERR_EXISTS  ? "there is such a user or alias already"
                      : e == ERR_SYNTAX  ? "the address, the password or its hash is not acceptable"
                      : e == ERR_LIMIT
                          ? "the address, the password, its hash or a quota is too large"
                          : err_name(e);
    return err_noted(note, e, "line %zu: %s: %s", at + 1, LOG_S(users[at].address), why);
}

/* ---- changing ---- */

/* Runs a change that must hit exactly one row. */
static enum err change_one(struct directory_link *link, sqlite3_stmt *statement)
{
    TRY(sql_done(&link->sql, statement));
    return sqlite3_changes(link->sql.db) == 1 ? ERR_OK : ERR_NOT_FOUND;
}

enum err directory_user_set(struct directory *directory, const struct user *user)
{
    if (user->quota_bytes > INT64_MAX || user->quota_messages > INT64_MAX)
        return ERR_LIMIT;
    struct directory_link *link = &directory->writer;
    sqlite3_stmt *statement;
    TRY(directory_write_begin(directory));
    enum err e = user->services & USER_POP3 ? directory_pop_switched_on(link, user, clock_wall_ms())
                                            : ERR_OK;
    if (!e)
        e = sql_get(&link->sql, SQL_USER_SET, &statement);
    if (!e) {
        sql_bind_text(statement, 1, slice_of(user->id));
        sqlite3_bind_int(
            statement, 2, (int)(user->services & (USER_IMAP | USER_POP3 | USER_SUBMISSION)));
        sqlite3_bind_int(statement, 3, user->disabled);
        sqlite3_bind_int64(statement, 4, (sqlite3_int64)user->quota_bytes);
        sqlite3_bind_int64(statement, 5, (sqlite3_int64)user->quota_messages);
        e = change_one(link, statement);
    }
    return directory_write_end(directory, e);
}

enum err directory_user_password(
    struct directory *directory, struct slice address, struct slice password)
{
    char name[USER_NAME_BYTES_MAX + 1];
    struct user user;
    struct password_record record;
    TRY(address_canonical(address, name));
    TRY(directory_secret(directory, slice_of(name), &user, &record));
    struct directory_link *link = &directory->writer;
    sqlite3_stmt *statement;
    enum err e = password_make(password, &record.scram, &record);
    if (!e)
        e = directory_write_begin(directory);
    if (!e) {
        e = sql_get(&link->sql, SQL_USER_PASSWORD, &statement);
        if (!e) {
            sql_bind_text(statement, 1, slice_of(user.id));
            bind_hash(statement, &record);
            e = change_one(link, statement);
        }
        e = directory_write_end(directory, e);
    }
    explicit_bzero(&record, sizeof record);
    return e;
}

enum err directory_upgrade(struct directory *directory, struct slice id, const char *old_hash,
    const struct password_record *record)
{
    struct directory_link *link = &directory->writer;
    sqlite3_stmt *statement;
    TRY(directory_write_begin(directory));
    enum err e = sql_get(&link->sql, SQL_USER_UPGRADE, &statement);
    if (!e) {
        sql_bind_text(statement, 1, id);
        sql_bind_text(statement, 2, slice_of(old_hash));
        bind_hash(statement, record);
        e = change_one(link, statement);
    }
    return directory_write_end(directory, e);
}

static enum err remove_row(struct directory_link *link, struct slice address, struct user *out_user)
{
    sqlite3_stmt *statement;
    TRY(directory_find(link, SQL_USER, address, out_user, NULL));
    TRY(sql_get(&link->sql, SQL_USER_DELETE, &statement));
    sql_bind_text(statement, 1, slice_of(out_user->id));
    TRY(sql_done(&link->sql, statement));
    return sql_run(&link->sql, SQL_ALIAS_DELETE_DANGLING); /* D-3 */
}

enum err directory_user_remove(
    struct directory *directory, struct slice address, struct user *out_user)
{
    char name[USER_NAME_BYTES_MAX + 1];
    struct user user;
    TRY(address_canonical(address, name));
    TRY(directory_write_begin(directory));
    TRY(directory_write_end(directory, remove_row(&directory->writer, slice_of(name), &user)));
    *out_user = user;
    return ERR_OK;
}
