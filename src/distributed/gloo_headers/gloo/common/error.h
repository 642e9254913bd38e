// Stands in for gloo's header of this name; see ../../README.md. c10d needs nothing of it.
#pragma once
