"""What tests share: a clock that is moved by hand, and builders that state only what matters."""
