"""Plain scripts that train the row LSTM on MNIST with other libraries and print its accuracy."""
