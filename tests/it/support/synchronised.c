/* A clock that says it is synchronised, for programs under test on machines whose clock is not. */
#include <string.h>
#include <sys/timex.h>

int adjtimex(struct timex *state) {
    memset(state, 0, sizeof *state);
    return TIME_OK;
}
