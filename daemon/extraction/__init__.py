"""Facts found in what people say, by grammar and without a language model. `extracting` is the way in; languages are beside it."""
