"""Say how this board is: type `import status` at the REPL, as often as you like."""

import sys

from rim.status import show

del sys.modules["status"]  # an import that was made already would do nothing
show()
