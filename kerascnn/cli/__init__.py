"""What the apps share: flags, messages, exit codes and commands. Nothing else in the library knows of a command line."""
