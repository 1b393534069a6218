/* A copy of the directory for a backup, and a user brought back from one. */
#include "auth/directory_int.h"

enum err directory_copy(struct directory *directory, const char *path)
{
    struct directory_link *link = &directory->reader;
    sqlite3_stmt *statement = NULL;
    pthread_mutex_lock(&link->lock);
    int rc = sqlite3_prepare_v2(link->db, "VACUUM INTO ?1", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        directory_bind_text(statement, 1, slice_of(path));
        rc = sqlite3_step(statement);
    }
    enum err e = rc == SQLITE_DONE ? ERR_OK : directory_sql_err(link->db, rc);
    (void)sqlite3_finalize(statement);
    pthread_mutex_unlock(&link->lock);
    return e;
}

#define USER_COLUMNS                                                                               \
    "id, address, domain, services, disabled, quota_bytes, quota_messages, created_s, hash,"       \
    " imported, scram_iterations, scram_salt, scram_stored_key, scram_server_key"
#define USER_COLUMN_COUNT 14

/* row: its columns, as a statement on another database has them. */
static enum err insert_row(struct directory *directory, sqlite3_stmt *row)
{
    sqlite3_stmt *domain = NULL, *user = NULL;
    struct directory_link *link = &directory->writer;
    TRY(directory_write_begin(directory));
    if (directory_find_alias(link, directory_column_text(row, 1)) == ERR_OK)
        return directory_write_end(directory, ERR_EXISTS);
    int rc =
        sqlite3_prepare_v2(link->db, "INSERT OR IGNORE INTO domains VALUES(?1)", -1, &domain, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_value(domain, 1, sqlite3_column_value(row, 2));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(domain);
    if (rc == SQLITE_DONE)
        rc = sqlite3_prepare_v2(link->db,
            "INSERT INTO users(" USER_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1, &user,
            NULL);
    for (int i = 0; i < USER_COLUMN_COUNT && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_value(user, i + 1, sqlite3_column_value(row, i));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(user);
    enum err e = directory_sql_err(link->db, rc);
    (void)sqlite3_finalize(domain);
    (void)sqlite3_finalize(user);
    return directory_write_end(directory, e);
}

enum err directory_restore_user(struct directory *directory, struct directory *copy,
    struct slice address, struct user *out_user)
{
    char canonical[USER_NAME_BYTES_MAX + 1];
    TRY(address_canonical(address, canonical));
    struct directory_link *link = &copy->reader;
    sqlite3_stmt *row = NULL;
    pthread_mutex_lock(&link->lock);
    int rc = sqlite3_prepare_v2(
        link->db, "SELECT " USER_COLUMNS " FROM users WHERE address=?1", -1, &row, NULL);
    if (rc == SQLITE_OK) {
        directory_bind_text(row, 1, slice_of(canonical));
        rc = sqlite3_step(row);
    }
    enum err e = rc == SQLITE_ROW    ? insert_row(directory, row)
                 : rc == SQLITE_DONE ? ERR_NOT_FOUND
                                     : directory_sql_err(link->db, rc);
    (void)sqlite3_finalize(row);
    pthread_mutex_unlock(&link->lock);
    return e == ERR_OK ? directory_user(directory, slice_of(canonical), out_user) : e;
}
