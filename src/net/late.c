#include "net/late.h"

#include <dlfcn.h>
#include <string.h>

bool late_load(const char *library, const struct late_call *calls, size_t count)
{
    void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return false;
    for (size_t i = 0; i < count; i++) {
        void *symbol = dlsym(lib, calls[i].name);
        if (!symbol)
            return false;
        /* what dlsym gives is no pointer to a function in ISO C; POSIX says that its bytes are one */
        memcpy(calls[i].out, &symbol, sizeof symbol);
    }
    return true;
}
